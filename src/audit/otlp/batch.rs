//! How much of what waits is sent with one request.

/// What OpenTelemetry's own SDKs put into one request by default (SDK specification, `maxExportBatchSize`).
const RECORDS: usize = 512;
/// With its attributes a record has at most twice the bytes of its line and two kilobytes, so a request stays below
/// 4 MiB, the least that collectors and what stands before them take by default (the OTLP specification recommends 64).
const LINES_BYTES: usize = 1024 * 1024;

/// The whole lines at the beginning of `lines` that one request should hold: none if there is no whole line, and a
/// line that is longer than all of them should be by itself.
pub(super) fn first(lines: &[u8]) -> &[u8] {
    let mut end = 0;
    for line_end in memchr::memchr_iter(b'\n', lines).take(RECORDS).map(|at| at + 1) {
        if end > 0 && line_end > LINES_BYTES {
            break;
        }
        end = line_end;
    }
    lines.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_whole_lines_and_no_more_than_a_request_should_hold() {
        assert_eq!(first(b""), b"");
        assert_eq!(first(b"torn"), b"");
        assert_eq!(first(b"one\ntwo\nthr"), b"one\ntwo\n");
        assert_eq!(first(&b"x\n".repeat(1000)).len(), 2 * RECORDS);
        let page = [vec![b'x'; 4095], vec![b'\n']].concat();
        assert_eq!(first(&page.repeat(400)).len(), LINES_BYTES);
        let over = [vec![b'x'; 4096], vec![b'\n']].concat();
        assert_eq!(first(&over.repeat(400)).len(), LINES_BYTES / 4097 * 4097);
    }

    #[test]
    fn a_line_that_is_too_long_goes_by_itself() {
        let long = [vec![b'x'; LINES_BYTES], vec![b'\n']].concat();
        assert_eq!(first(&[&long[..], b"next\n"].concat()).len(), long.len());
        assert_eq!(first(&[b"before\n", &long[..]].concat()), b"before\n");
    }
}
