//! Tests of `parse`: whole files, cut into pieces, cut short, and damaged.

use super::*;
use crate::write::{self, Texts};

/// A file with something of everything.
fn file() -> Vec<u8> {
    let mut out = Vec::new();
    let mut texts = Texts::compressed();
    write::magic(&mut out, 12);
    write::aux(&mut out, b"redis-bits", b"64");
    write::function(&mut out, &mut texts, b"#!lua name=x\n");
    out.extend_from_slice(&[kind::MODULE_AUX, 0x41, 0, 2, 1, 3, 0, 0, 0, 0, 5, 1, b'x', 1, 7, 0]);
    write::database(&mut out, 3);
    write::sizes(&mut out, 3, 1);
    out.extend_from_slice(&[kind::SLOT_INFO, 1, 2, 3]);
    write::expiry(&mut out, 1234);
    write::idle(&mut out, 100);
    out.extend_from_slice(&[kind::FREQ, 9, kind::STRING]);
    texts.text(&mut out, b"17");
    texts.text(&mut out, &b"abc".repeat(100));
    out.push(kind::STREAM_LISTPACKS_3);
    texts.text(&mut out, b"stream");
    // One node, eight numbers, one group with one consumer, and what is pending.
    write::length(&mut out, 1);
    write::plain(&mut out, &[0; 16]);
    write::plain(&mut out, b"node");
    (0..8).for_each(|number| write::length(&mut out, number));
    write::length(&mut out, 1);
    write::plain(&mut out, b"group");
    (0..3).for_each(|number| write::length(&mut out, number));
    write::length(&mut out, 1);
    out.extend_from_slice(&[7; 24]);
    write::length(&mut out, 70);
    write::length(&mut out, 1);
    write::plain(&mut out, b"consumer");
    out.extend_from_slice(&[8; 16]);
    write::length(&mut out, 1);
    out.extend_from_slice(&[7; 16]);
    out.extend_from_slice(&[kind::ZSET, 1, b'z', 3, 1, b'a', 255, 1, b'b', 254, 1, b'c', 3]);
    out.extend_from_slice(b"1.5");
    write::fill(&mut out, 100);
    let sum = crate::crc::crc(&out);
    write::end(&mut out, sum);
    out
}

/// Every item as text, from blocks of so many bytes.
fn items(file: &[u8], block: usize) -> Result<Vec<String>, Error> {
    let mut parser = Parser::new(Some(file.len() as u64));
    let mut items = Vec::new();
    for block in file.chunks(block) {
        parser.feed(block);
        while let Some(item) = parser.next()? {
            // What is known of the next record is up to the blocks.
            let item = match item {
                Item::Record(record) => Item::Record(Record { next_key: None, ..record }),
                item => item,
            };
            items.push(format!("{item:?}"));
        }
    }
    if parser.is_done() { Ok(items) } else { Err(parser.next().err().unwrap_or(parser.cut())) }
}

#[test]
fn a_file_is_the_same_in_blocks_of_any_size() {
    let file = file();
    let whole = items(&file, file.len()).expect("a sound file");
    assert_eq!(whole.len(), 11);
    assert!(whole[5].contains("keys: 3, expiring: 1"));
    assert!(whole[6].contains("key: [49, 55], kind: 0"));
    assert!(whole[6].contains("expiry: Some(1234), idle: Some(100), frequency: Some(9)"));
    assert!(whole[7].contains("expiry: None, idle: None, frequency: None"));
    assert_eq!(whole[10], "End(Right)");
    for block in (1..300).step_by(3) {
        assert_eq!(items(&file, block).as_ref(), Ok(&whole), "{block}");
    }
}

#[test]
fn a_file_cut_short_is_an_error_and_never_more() {
    let file = file();
    for len in 0..file.len() {
        for block in [7, len.max(1)] {
            let error = items(&file[..len], block).expect_err("it is cut");
            assert!(matches!(error.fault, Fault::Cut | Fault::TooMuch), "{len}: {error}");
        }
    }
}

#[test]
fn a_changed_byte_is_found() {
    let file = file();
    for at in 0..file.len() - 8 {
        let mut changed = file.clone();
        changed[at] ^= 0x11;
        let found = items(&changed, 64);
        let sound = found.is_ok_and(|items| items.last().is_some_and(|end| end == "End(Right)"));
        assert!(!sound, "{at}");
    }
}

#[test]
fn what_claims_more_than_the_file_has_is_refused_at_once() {
    let mut out = Vec::new();
    write::magic(&mut out, 11);
    out.extend_from_slice(&[kind::STRING, 1, b'k']);
    write::length(&mut out, 1 << 40);
    let mut parser = Parser::new(Some(1 << 30));
    parser.feed(&out);
    assert!(matches!(parser.next(), Ok(Some(Item::Version(_)))));
    assert_eq!(parser.next(), Err(Error { at: out.len() as u64, fault: Fault::TooMuch }));
}

#[test]
fn versions_and_beginnings() {
    for (magic, fault) in [
        (&b"REDIS0006"[..], None),
        (b"REDIS0015", None),
        (b"VALKEY080", None),
        (b"REDIS0016", Some(Fault::Version(16))),
        (b"REDIS0080", Some(Fault::Version(80))),
        (b"REDIS0987", Some(Fault::Version(987))),
        (b"VALKEY011", Some(Fault::Version(11))),
        (b"REDIS00x1", Some(Fault::Magic)),
        (b"RE", Some(Fault::Cut)),
        (b"", Some(Fault::Cut)),
        (b"ROW", Some(Fault::Magic)),
    ] {
        let mut parser = Parser::new(Some(magic.len() as u64));
        parser.feed(magic);
        match fault {
            None => assert!(matches!(parser.next(), Ok(Some(Item::Version(_))))),
            Some(fault) => assert_eq!(parser.next(), Err(Error { at: 0, fault })),
        }
    }
}

#[test]
fn a_chunk_is_read_by_itself() {
    let mut out = Vec::new();
    write::database(&mut out, 0);
    out.extend_from_slice(&[kind::STRING, 1, b'k', 1, b'v']);
    write::fill(&mut out, 50);
    let mut parser = Parser::inside(Version::redis(11), 4096, out.len() as u64);
    parser.feed(&out);
    assert_eq!(parser.next(), Ok(Some(Item::Database(0))));
    let Ok(Some(Item::Record(record))) = parser.next() else { panic!("a record") };
    assert_eq!((record.key, record.object, record.at), (&b"k"[..], &b"\x01v"[..], 4098));
    assert!(matches!(parser.next(), Ok(Some(Item::Aux { .. }))));
    assert!(parser.is_between());
}

#[test]
fn the_next_key_is_told_where_it_is_there() {
    let mut out = Vec::new();
    write::magic(&mut out, 11);
    out.extend_from_slice(&[kind::STRING, 1, b'a', 1, b'v']);
    write::expiry(&mut out, 5);
    out.extend_from_slice(&[kind::STRING, 1, b'b', 1, b'v', kind::STRING, 0xc0, 7, 1, b'v']);
    write::end_unchecked(&mut out);
    let mut parser = Parser::new(Some(out.len() as u64));
    parser.feed(&out);
    let mut told = Vec::new();
    while let Ok(Some(item)) = parser.next() {
        if let Item::Record(record) = item {
            told.push(record.next_key.map(<[u8]>::to_vec));
        }
    }
    assert_eq!(told, [Some(b"b".to_vec()), None, None]);
}
