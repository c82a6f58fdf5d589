//! What comes back, whole, in part, or as something else.

use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::*;

fn chunked(chunks: &[&[u8]]) -> Vec<u8> {
    let mut all = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for chunk in chunks {
        all.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        all.extend_from_slice(chunk);
        all.extend_from_slice(b"\r\n");
    }
    all
}

#[tokio::test]
async fn a_request_arrives_as_it_was_given_and_its_answer_comes_back_whole() {
    let (sender, mut arrived) = mpsc::unbounded_channel();
    let upstream = Upstream::start(move |mut stream, _| {
        let sender = sender.clone();
        async move {
            sender.send(request_on(&mut stream).await).unwrap();
            let head = "HTTP/1.1 400 Bad Request\r\nx-amzn-requestid: 7\r\ncontent-length: 10000\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&[b'x'; 5_000]).await.unwrap();
            stream.write_all(&[b'y'; 5_000]).await.unwrap();
            until_end(&mut stream).await;
        }
    })
    .await;
    let answer = upstream.transport().ask().await.unwrap();
    assert_eq!(answer.status().as_u16(), 400);
    assert_eq!(answer.headers()["x-amzn-requestid"], "7");
    assert_eq!(*answer.body(), [[b'x'; 5_000], [b'y'; 5_000]].concat());

    let arrived = String::from_utf8(arrived.recv().await.unwrap()).unwrap();
    let expected = "POST / HTTP/1.1\r\nhost: kms.test\r\nx-amz-target: TrentService.DescribeKey\r\ncontent-length: 21\r\n\r\n\
         {\"KeyId\":\"alias/app\"}";
    assert_eq!(arrived, expected);
}

#[tokio::test]
async fn an_answer_in_chunks_is_put_together_and_its_trailers_are_left_out() {
    let answer = [chunked(&[b"one ", b"two ", b"three"]), b"0\r\nx-trailer: 1\r\n\r\n".to_vec()].concat();
    let answer = Upstream::saying(answer).await.transport().ask().await.unwrap();
    assert_eq!(answer.body(), "one two three");
    assert!(!answer.headers().contains_key("x-trailer"));
}

#[tokio::test]
async fn what_is_said_before_an_answer_is_passed_over() {
    let upstream = Upstream::saying([b"HTTP/1.1 100 Continue\r\n\r\n", ANSWER].concat()).await;
    upstream.transport().answers().await;
}

#[tokio::test]
async fn an_answer_that_ends_in_the_middle_is_broken_however_it_ends() {
    let halves: [&[u8]; 5] = [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{",
    ];
    for half in halves {
        for reset in [false, true] {
            let upstream = Upstream::start(move |mut stream, _| async move {
                request_on(&mut stream).await;
                stream.write_all(half).await.unwrap();
                if reset {
                    stream.set_zero_linger().unwrap();
                }
            })
            .await;
            let failure = upstream.transport().fails().await;
            assert_eq!(failure.kind(), FailureKind::Broken, "{failure}: {half:?}, reset: {reset}");
            assert!(failure.was_written() && !failure.timed_out());
            assert_eq!(upstream.connections(), 1);
        }
    }
}

#[tokio::test]
async fn a_server_that_half_closes_without_an_answer_is_not_waited_for() {
    let upstream = Upstream::start(|mut stream, _| async move {
        request_on(&mut stream).await;
        stream.shutdown().await.unwrap();
        until_end(&mut stream).await;
    })
    .await;
    assert_eq!(upstream.transport().fails().await.kind(), FailureKind::Broken);
}

#[tokio::test]
async fn what_is_not_http_is_unreadable() {
    let endless_head = [&b"HTTP/1.1 200 OK\r\nx: "[..], &vec![b'x'; 1024 * 1024]].concat();
    let others: [&[u8]; 7] = [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        // An HTTP/2 server's settings.
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nmany\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        &endless_head,
    ];
    for other in others {
        let failure = Upstream::saying(other.to_vec()).await.transport().fails().await;
        assert_eq!(failure.kind(), FailureKind::Unreadable, "{failure}: {:?}", &other[..other.len().min(80)]);
        assert!(failure.was_written());
    }
}

#[tokio::test]
async fn a_body_that_is_announced_as_too_large_is_not_read() {
    // Not a byte of it ever comes.
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", MOST + 1);
    let failure = Upstream::saying(head.into_bytes()).await.transport().fails().await;
    assert_eq!(failure.kind(), FailureKind::Unreadable);
    assert!(failure.detail().contains("1048576 bytes"), "{failure}");
}

#[tokio::test]
async fn a_body_that_grows_too_large_is_not_read_to_its_end() {
    for head in ["transfer-encoding: chunked\r\n\r\n", "\r\n"] {
        let upstream = Upstream::start(move |mut stream, _| async move {
            request_on(&mut stream).await;
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}").as_bytes()).await.unwrap();
            // It has no end.
            let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
            while stream.write_all(chunk.as_bytes()).await.is_ok() {}
        })
        .await;
        assert_eq!(upstream.transport().fails().await.kind(), FailureKind::Unreadable);
    }
}

#[tokio::test]
async fn a_body_as_large_as_it_may_be_comes_back() {
    let body = vec![b'x'; MOST];
    let whole = [format!("HTTP/1.1 200 OK\r\ncontent-length: {MOST}\r\n\r\n").as_bytes(), &body].concat();
    for answer in [whole, [chunked(&[&body]), b"0\r\n\r\n".to_vec()].concat()] {
        let answer = Upstream::saying(answer).await.transport().ask().await.unwrap();
        assert_eq!(answer.body().len(), MOST);
    }
}
