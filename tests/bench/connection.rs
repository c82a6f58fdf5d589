//! The cheapest HTTP/1.1 client that still reads every answer whole: one `TcpStream`, one buffer, no allocation
//! a request.
//!
//! The client has one core, like the server; each nanosecond it wastes hides one of the server's.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::Outcome;

/// No answer of these servers is near this size.
const ANSWER_CAP: usize = 16 * 1024;

/// One keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Box<[u8]>,
}

/// An answer, whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    /// The status line and the headers, with the empty line at their end.
    pub(crate) head: &'a [u8],
    /// The status code.
    pub(crate) status: u16,
    /// The body, as long as `content-length` said.
    pub(crate) body: &'a [u8],
}

impl Connection {
    /// Connects, with `TCP_NODELAY`.
    pub(crate) async fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; ANSWER_CAP].into_boxed_slice() })
    }

    /// As [`Self::open`], from another address of the loopback interface.
    pub(crate) async fn open_from(source: Ipv4Addr, address: SocketAddr) -> Outcome<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((source, 0)))?;
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; ANSWER_CAP].into_boxed_slice() })
    }

    /// Sends `request` and reads its answer to the last byte.
    ///
    /// # Errors
    /// When the server hangs up, sends more than it announced, or sends what is not an answer with a length.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Outcome<Answer<'_>> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        let head = loop {
            filled += self.read(filled).await?;
            if let Some(head) = Head::read(self.buffer.get(..filled).unwrap_or_default())? {
                break head;
            }
        };
        while filled < head.end() {
            filled += self.read(filled).await?;
        }
        if filled > head.end() {
            return Err("the server sent more than one answer".into());
        }
        head.split(self.buffer.get(..filled).unwrap_or_default()).ok_or_else(|| "half an answer".into())
    }

    async fn read(&mut self, from: usize) -> Outcome<usize> {
        let space = self.buffer.get_mut(from..).unwrap_or_default();
        if space.is_empty() {
            return Err(format!("an answer of more than {ANSWER_CAP} bytes").into());
        }
        match self.stream.read(space).await? {
            0 => Err("the server closed the connection in place of an answer".into()),
            count => Ok(count),
        }
    }
}

impl<'a> Answer<'a> {
    /// The answer that `bytes` begin with, if it is there to its end.
    pub(crate) fn whole(bytes: &'a [u8]) -> Outcome<Option<Self>> {
        Ok(Head::read(bytes)?.and_then(|head| head.split(bytes)))
    }

    /// The headers beside `content-length` and `date`, which hyper writes itself.
    pub(crate) fn own_headers(&self) -> Outcome<Vec<(String, String)>> {
        let lines = std::str::from_utf8(self.head)?.lines().filter_map(|line| line.split_once(':'));
        let hypers = |name: &str| ["content-length", "date"].iter().any(|its| its.eq_ignore_ascii_case(name));
        let own = lines.filter(|(name, _)| !hypers(name));
        Ok(own.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
    }
}

struct Head {
    status: u16,
    length: usize,
    content_length: usize,
}

impl Head {
    fn end(&self) -> usize {
        self.length.saturating_add(self.content_length)
    }

    fn split<'a>(&self, bytes: &'a [u8]) -> Option<Answer<'a>> {
        let (head, body) = bytes.get(..self.end())?.split_at_checked(self.length)?;
        Some(Answer { head, status: self.status, body })
    }

    /// `None` while the head is not whole.
    fn read(bytes: &[u8]) -> Outcome<Option<Self>> {
        let Some((length, content_length)) = lengths(bytes) else { return Ok(None) };
        let status = number(bytes.get(9..12)).ok_or("the status is no number")?;
        let content_length = content_length.ok_or("an answer without content-length")?;
        Ok(Some(Self { status: u16::try_from(status)?, length, content_length }))
    }
}

/// The length of the head that `bytes` begin with, and the length of the body that it announces, if it does: `None`
/// while the head is not whole.
pub(crate) fn lengths(bytes: &[u8]) -> Option<(usize, Option<usize>)> {
    let (mut length, mut content_length) = (0, None);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        length += line.len();
        if line == b"\r\n" {
            return Some((length, content_length));
        }
        if let Some((name, value)) = line.split_at_checked(b"content-length:".len())
            && name.eq_ignore_ascii_case(b"content-length:")
        {
            content_length = number(Some(value.trim_ascii()));
        }
    }
    None
}

/// ASCII digits as a number: `None` for anything else.
fn number(digits: Option<&[u8]>) -> Option<usize> {
    digits?.iter().try_fold(0_usize, |sum, byte| {
        byte.is_ascii_digit().then(|| sum.checked_mul(10)?.checked_add(usize::from(byte - b'0')))?
    })
}
