//! Snapshots taken one after the other while clients append and transfer: what each holds is what
//! one reader would have seen who came between the request for it and its reply.
//!
//! So a snapshot, loaded by another server, is one more transaction of the history, which reads
//! everything; the checkers of the histories say whether there could have been such a reader.

use super::drive::{Run, number};
use super::{append, bank};
use crate::checkers::Span;
use crate::checkers::append::{Step, Transaction, check};
use crate::checkers::bank::check as check_bank;
use crate::support::client::Client;
use crate::support::server::Server;
use pinion_io::resp::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Snapshots where no number is said.
const SNAPSHOTS: u64 = 10;
/// The name of the file.
const FILE: &str = "dump.rdb";
/// Longest wait for a snapshot.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at what must come.
const PAUSE: Duration = Duration::from_millis(1);
/// Shards of the servers that load, in turn: never those of the one that saved.
const LOADERS: [usize; 3] = [1, 3, 7];
/// Replies that are asked for at once.
const BATCH: usize = 256;

/// A snapshot: from the request for it until the reply to that, and where its file lies alone.
#[derive(Debug)]
struct Snapshot {
    span: Span,
    folder: PathBuf,
}

/// What was read of each list, or account.
type Read<T> = Vec<T>;

/// Records while snapshots are taken, and ends the run when there are as many as are wanted.
fn record_saving<H: Send>(
    run: &Run,
    record: impl FnOnce(&Run) -> Result<H, String>,
) -> Result<(H, Vec<Snapshot>), String> {
    std::thread::scope(|scope| {
        let saver = scope.spawn(|| {
            let saved = run.noted(save_all(run));
            run.end();
            saved
        });
        let history = record(run);
        let saved = saver.join().expect("no panic")?;
        Ok((history?, saved))
    })
}

fn save_all(run: &Run) -> Result<Vec<Snapshot>, String> {
    let server = run.server().expect("a server of our own");
    let mut client = Client::connect(server.address())?;
    let mut snapshots = Vec::new();
    for index in 0..number("PINION_SNAPSHOTS").unwrap_or(SNAPSHOTS) {
        if run.has_failed() {
            break;
        }
        let span = begin(run, &mut client)?;
        let folder = server.room().join(format!("snapshot-{index}"));
        take(server.room(), &folder)?;
        snapshots.push(Snapshot { span, folder });
    }
    Ok(snapshots)
}

/// Asks for a snapshot until one begins.
fn begin(run: &Run, client: &mut Client) -> Result<Span, String> {
    let until = Instant::now() + PATIENCE;
    loop {
        let sent = run.now();
        match client.ask(&["BGSAVE"])? {
            Value::Simple(text) if text == b"Background saving started" => {
                return Ok(Span { sent, done: Some(run.now()) });
            }
            // The file has its name a little before the save has ended.
            Value::Error(text)
                if text.ends_with(b"already in progress") && Instant::now() < until =>
            {
                std::thread::sleep(PAUSE);
            }
            other => return Err(format!("BGSAVE: {other:?}")),
        }
    }
}

/// Waits for the file and moves it into a folder of its own.
fn take(room: &Path, folder: &Path) -> Result<(), String> {
    let failed = |error| format!("moving a snapshot to {}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(failed)?;
    let until = Instant::now() + PATIENCE;
    while !room.join(FILE).exists() {
        if Instant::now() > until {
            return Err(format!("no snapshot for {}", folder.display()));
        }
        std::thread::sleep(PAUSE);
    }
    fs::rename(room.join(FILE), folder.join(FILE)).map_err(failed)
}

/// Has another server load each snapshot, and reads it there.
fn load_all<T>(
    run: &Run,
    snapshots: &[Snapshot],
    read: impl Fn(&Run, &Server) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let mut all = Vec::new();
    for (index, snapshot) in snapshots.iter().enumerate() {
        let shards = LOADERS[index % LOADERS.len()];
        let directory = format!("--dir={}", snapshot.folder.display());
        let server = Server::start(shards, &[&directory])?;
        all.push(read(run, &server)?);
    }
    Ok(all)
}

/// Reads all lists of a server.
fn read_lists(run: &Run, server: &Server, count: u32) -> Result<Read<Vec<u64>>, String> {
    let mut connection = run.connect_to(server.address())?;
    let lists: Vec<u32> = (0..count).collect();
    let mut all = Vec::new();
    for batch in lists.chunks(BATCH) {
        for list in batch {
            connection.request(4).word("LRANGE").key(list).word("0").word("-1");
        }
        connection.send()?;
        connection.receive(batch.len())?;
        for _ in batch {
            let len = connection.array()?.ok_or("LRANGE answers null")?;
            all.push((0..len).map(|_| connection.some()).collect::<Result<_, _>>()?);
        }
    }
    Ok(all)
}

/// Reads all accounts of a server.
fn read_accounts(run: &Run, server: &Server) -> Result<Read<i64>, String> {
    let mut connection = run.connect_to(server.address())?;
    connection.request(bank::ACCOUNTS + 1).word("MGET");
    (0..bank::ACCOUNTS).for_each(|account| {
        connection.key(account);
    });
    connection.send()?;
    connection.receive(1)?;
    connection.array_of(bank::ACCOUNTS)?;
    (0..bank::ACCOUNTS).map(|_| connection.some()).collect()
}

/// The history with one more transaction for each snapshot, which reads all lists.
fn joined(history: &[Transaction], reads: &[(Span, Read<Vec<u64>>)]) -> Vec<Transaction> {
    let first = history.iter().map(|transaction| transaction.session + 1).max().unwrap_or(0);
    let readers = reads.iter().enumerate().map(|(index, (span, lists))| {
        let steps = lists.iter().enumerate();
        let steps = steps.map(|(list, values)| Step::Read(list as u32, values.clone())).collect();
        // One who asks for all snapshots, and each time waits for the reply.
        Transaction { session: first + index, span: *span, steps }
    });
    history.iter().cloned().chain(readers).collect()
}

/// Half of what one snapshot holds, and half of what another does.
fn mixed<T: Clone>(one: &[T], other: &[T]) -> Vec<T> {
    let both = one.iter().zip(other).enumerate();
    both.map(|(index, (one, other))| if index % 2 == 0 { one } else { other }.clone()).collect()
}

/// Checks all snapshots, and that one would be found that is mixed of the first and the last.
fn check_lists(history: &[Transaction], reads: &[(Span, Read<Vec<u64>>)]) -> Result<(), String> {
    check(&joined(history, reads))?;
    let [(span, first), .., (until, last)] = reads else { return Ok(()) };
    if first == last {
        return Err("nothing was appended from the first snapshot to the last".into());
    }
    let span = Span { sent: span.sent, done: until.done };
    let mixed = [(span, mixed(first, last))];
    match check(&joined(history, &mixed)) {
        Ok(()) => Err("a snapshot mixed of two is not found".into()),
        Err(_) => Ok(()),
    }
}

#[test]
fn appended_lists_are_saved_as_one_reader_sees_them() {
    let run = Run::endless("snapshots-append");
    let recorded = record_saving(&run, append::record).and_then(|(history, snapshots)| {
        let steps = history.0.iter().flat_map(|transaction| &transaction.steps);
        let lists = steps.map(|step| match step {
            Step::Append(list, _) | Step::Read(list, _) => list + 1,
        });
        let count = lists.max().unwrap_or(0);
        let read = load_all(&run, &snapshots, |run, server| read_lists(run, server, count))?;
        let spans = snapshots.iter().map(|snapshot| snapshot.span);
        Ok((history, spans.zip(read).collect::<Vec<_>>()))
    });
    run.judge(recorded, |(history, reads)| check_lists(&history.0, reads));
}

#[test]
fn saved_accounts_add_up() {
    let run = Run::endless("snapshots-bank");
    let recorded = record_saving(&run, bank::record).and_then(|((transfers, _), snapshots)| {
        Ok((transfers, load_all(&run, &snapshots, read_accounts)?))
    });
    let total = bank::ACCOUNTS as i64 * bank::FIRST;
    run.judge(recorded, |(transfers, reads)| {
        check_bank(total, reads)?;
        let pairs = || reads.iter().flat_map(|one| reads.iter().map(move |other| (one, other)));
        let found = pairs().any(|(one, other)| check_bank(total, &[mixed(one, other)]).is_err());
        if !found && reads.len() > 1 {
            return Err(format!("{transfers} transfers, and none changed what is saved"));
        }
        Ok(())
    });
}

#[test]
fn what_no_reader_could_have_seen_is_found() {
    let span = |sent| Span { sent, done: Some(sent + 1) };
    let append = |number: u64| Transaction {
        session: 0,
        span: span(10 * number),
        steps: vec![Step::Append(0, number), Step::Append(1, number)],
    };
    let history: Vec<Transaction> = (1..=4).map(append).collect();
    let read = |until: u64| vec![(1..=until).collect::<Vec<u64>>(); 2];
    let whole = [(span(15), read(1)), (span(35), read(3)), (span(45), read(4))];
    assert_eq!(check_lists(&history, &whole), Ok(()));
    // Half a transaction.
    let torn = [(Span { sent: 5, done: Some(50) }, mixed(&read(1), &read(3)))];
    assert!(check_lists(&history, &torn).is_err());
    // What came before the request for it is not there, or what came behind its reply is.
    for late in [[(span(35), read(2))], [(span(25), read(3))]] {
        assert!(check_lists(&history, &late).is_err());
    }
}
