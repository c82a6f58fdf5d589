//! A client of HTTP/1.1 that sends bytes as they are and reads answers one by one, each read with a time-out.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use super::PATIENCE;
use super::answer::Answer;
use super::request::Request;

/// A byte stream with or without TLS.
trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// One connection.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    /// The same socket, to shut it down.
    socket: TcpStream,
    /// What was read and belongs to no answer yet.
    buffer: Vec<u8>,
}

/// What a server sends.
#[derive(Debug)]
enum Next {
    /// A whole answer.
    Answer(Answer),
    /// `100 Continue`.
    Continue,
    /// Nothing any more.
    Closed,
    /// Nothing any more, after a part of an answer.
    Cut,
}

impl Connection {
    /// Connects from 127.0.0.1.
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    /// Connects from 127.0.0.`host`: to the gateway each is another peer.
    pub(crate) fn from_peer(host: u8, address: SocketAddr) -> Self {
        // The standard library cannot choose the address that it connects from.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, host)), 0)).unwrap();
            socket.connect(address).await.unwrap().into_std().unwrap()
        });
        stream.set_nonblocking(false).unwrap();
        Self::over(stream)
    }

    /// Connects with TLS, to `localhost`.
    pub(crate) fn tls(address: SocketAddr, config: Arc<rustls::ClientConfig>) -> Self {
        let client = rustls::ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
        let mut plain = Self::open(address);
        let socket = plain.socket.try_clone().unwrap();
        plain.stream = Box::new(rustls::StreamOwned::new(client, socket));
        plain
    }

    fn over(socket: TcpStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self { stream: Box::new(socket.try_clone().unwrap()), socket, buffer: Vec::new() }
    }

    /// Sends bytes.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap();
    }

    /// Sends bytes, to a server that may have closed.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// The same connection, for another thread to send on.
    pub(crate) fn sender(&self) -> TcpStream {
        self.socket.try_clone().unwrap()
    }

    /// Says that nothing more will be sent; answers can still be read.
    pub(crate) fn end_sending(&self) {
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    /// Sends a request whole and reads its answer.
    pub(crate) fn exchange(&mut self, request: &Request) -> Answer {
        self.send(&request.bytes());
        self.answer()
    }

    /// Sends a request whole and reads its answer, of a gateway that may be killed meanwhile.
    pub(crate) fn try_exchange(&mut self, request: &Request) -> Option<Answer> {
        self.try_send(&request.bytes()).ok()?;
        match self.next(false) {
            Next::Answer(answer) => Some(answer),
            _ => None,
        }
    }

    /// Sends a head that expects `100 Continue`, and waits for that: the gateway now waits for the body.
    pub(crate) fn begin(&mut self, request: &Request) {
        self.send(&request.clone().add("expect", "100-continue").head());
        match self.next(false) {
            Next::Continue => {}
            other => panic!("no 100 Continue but {other:?}"),
        }
    }

    /// The next answer.
    pub(crate) fn answer(&mut self) -> Answer {
        match self.next(false) {
            Next::Answer(answer) => answer,
            other => panic!("no answer but {other:?}"),
        }
    }

    /// The next answer, to a `HEAD`: its length is not that of a body.
    pub(crate) fn answer_to_head(&mut self) -> Answer {
        match self.next(true) {
            Next::Answer(answer) => answer,
            other => panic!("no answer but {other:?}"),
        }
    }

    /// The next answer, of a server that may as well close without one.
    pub(crate) fn answer_or_end(&mut self) -> Option<Answer> {
        match self.next(false) {
            Next::Answer(answer) => Some(answer),
            Next::Closed => None,
            other => panic!("neither an answer nor the end but {other:?}"),
        }
    }

    /// Waits until the server closes, having sent nothing more.
    pub(crate) fn closed(&mut self) {
        match self.next(false) {
            Next::Closed => {}
            other => panic!("not closed but {other:?}"),
        }
    }

    /// All bytes that come until the server closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.buffer);
        match self.stream.read_to_end(&mut rest) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("it does not end: {error}"),
            _ => rest,
        }
    }

    /// What the server sends next; `bodiless` if it answers a `HEAD`.
    fn next(&mut self, bodiless: bool) -> Next {
        loop {
            if let Some((next, length)) = Answer::parse(&self.buffer, bodiless) {
                self.buffer.drain(..length);
                return if next.status == 100 { Next::Continue } else { Next::Answer(next) };
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A server that closes with bytes unread resets; one that ends without TLS's goodbye just ends.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => break,
                Err(error) => panic!("nothing came: {error}"),
            }
        }
        if self.buffer.is_empty() { Next::Closed } else { Next::Cut }
    }
}
