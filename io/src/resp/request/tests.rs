//! Requests whole, cut anywhere, and broken.

use super::*;

fn parse_all(input: &[u8]) -> Result<Vec<Vec<Vec<u8>>>, ProtocolError> {
    let mut parser = Parser::default();
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        match parser.next(input, at, &Limits::default())? {
            Step::Request { end } => {
                found.push(parser.args().iter().map(|r| r.of(input).to_vec()).collect());
                at = end;
            }
            Step::Inline { end, rewritten } => {
                found.extend(parse_all(&rewritten)?);
                at = end;
            }
            Step::Empty { end } => at = end,
            Step::Partial { .. } => return Ok(found),
        }
    }
}

/// The same, fed one more byte at a time.
fn parse_slowly(input: &[u8]) -> Result<Vec<Vec<Vec<u8>>>, ProtocolError> {
    let mut parser = Parser::default();
    let mut found = Vec::new();
    let mut at = 0;
    for end in 0..=input.len() {
        let seen = &input[..end];
        loop {
            match parser.next(seen, at, &Limits::default())? {
                Step::Request { end } => {
                    found.push(parser.args().iter().map(|r| r.of(seen).to_vec()).collect());
                    at = end;
                }
                Step::Inline { end, rewritten } => {
                    found.extend(parse_all(&rewritten)?);
                    at = end;
                }
                Step::Empty { end } => at = end,
                Step::Partial { need } => {
                    assert!(need >= 1);
                    break;
                }
            }
        }
    }
    Ok(found)
}

fn words(list: &[&[&str]]) -> Vec<Vec<Vec<u8>>> {
    list.iter().map(|w| w.iter().map(|s| s.as_bytes().to_vec()).collect()).collect()
}

#[test]
fn requests_come_out_whole_however_they_are_cut() {
    let input = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*0\r\n*-1\r\n\r\nPING a  b\r\n*1\r\n$0\r\n\r\n";
    let expected = words(&[&["GET", "k"], &["PING", "a", "b"], &[""]]);
    assert_eq!(parse_all(input).unwrap(), expected);
    assert_eq!(parse_slowly(input).unwrap(), expected);
}

#[test]
fn inline_quotes() {
    let input = b"SET \"a b\\x41\\n\" 'it\\'s'\r\n";
    assert_eq!(parse_slowly(input).unwrap(), words(&[&["SET", "a bA\n", "it's"]]));
    assert_eq!(parse_all(b"SET \"a\r\n"), Err(ProtocolError::Quotes));
    assert_eq!(parse_all(b"SET \"a\"b\r\n"), Err(ProtocolError::Quotes));
}

#[test]
fn violations_have_their_texts() {
    for (input, text) in [
        (&b"*a\r\n"[..], "ERR Protocol error: invalid multibulk length"),
        (b"*3000000000\r\n", "ERR Protocol error: invalid multibulk length"),
        (b"*1\r\n+a\r\n", "ERR Protocol error: expected '$', got '+'"),
        (b"*1\r\n$-1\r\n", "ERR Protocol error: invalid bulk length"),
        (b"*1\r\n$9999999999\r\n", "ERR Protocol error: invalid bulk length"),
        (b"*1\r\n$01\r\n", "ERR Protocol error: invalid bulk length"),
    ] {
        let error = parse_all(input).unwrap_err();
        assert_eq!(String::from_utf8(error.text()).unwrap(), text);
    }
    assert_eq!(parse_all(&[b'x'; INLINE_BYTES_MAX + 1]), Err(ProtocolError::LongInline));
    let mut long = b"*".to_vec();
    long.resize(INLINE_BYTES_MAX + 8, b'1');
    assert_eq!(parse_all(&long), Err(ProtocolError::LongCount));
}

#[test]
fn before_auth_requests_are_small() {
    let limits = Limits::unauthenticated();
    let mut parser = Parser::default();
    assert_eq!(parser.next(b"*11\r\n", 0, &limits), Err(ProtocolError::CountUnauthenticated));
    parser.reset();
    assert_eq!(
        parser.next(b"*1\r\n$16385\r\n", 0, &limits),
        Err(ProtocolError::BulkUnauthenticated)
    );
}

#[test]
fn a_partial_argument_says_how_much_is_missing() {
    let mut parser = Parser::default();
    let step = parser.next(b"*1\r\n$10\r\nabc", 0, &Limits::default()).unwrap();
    assert_eq!(step, Step::Partial { need: 9 });
    assert!(parser.is_inside());
}

#[test]
fn a_reset_parser_keeps_little_memory() {
    let count = 10 * ARGS_KEPT_MAX;
    let input = [format!("*{count}\r\n").into_bytes(), b"$1\r\na\r\n".repeat(count)].concat();
    let mut parser = Parser::default();
    let end = input.len();
    assert_eq!(parser.next(&input, 0, &Limits::default()), Ok(Step::Request { end }));
    assert_eq!(parser.args().len(), count);
    parser.reset();
    assert!(parser.args.capacity() <= ARGS_KEPT_MAX);
}
