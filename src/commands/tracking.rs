//! CLIENT TRACKING, CACHING, TRACKINGINFO and GETREDIR: what a client says of its own cache.

use super::{Context, Outcome};
use crate::session::Tracking;
use pinion_io::resp::Reply;
use pinion_shards::channels::{Change, Kind};
use pinion_shards::commands::Args;
use pinion_shards::error::Error;

/// What CLIENT TRACKING ON asks for.
#[derive(Default)]
struct Options {
    redirect: Option<u64>,
    broadcast: bool,
    prefixes: Vec<Box<[u8]>>,
    opt_in: bool,
    opt_out: bool,
    no_loop: bool,
}

/// CLIENT TRACKING ON | OFF [REDIRECT id] [PREFIX prefix ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]
pub(super) fn tracking(
    at: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, Error> {
    let mut options = parse(at, args)?;
    if args.is(2, "OFF") {
        let had = at.session.tracking.take();
        let change = Change { kind: Kind::Prefix, joins: false, names: Vec::new() };
        if had.is_some_and(|tracking| tracking.broadcast) {
            return Ok(Outcome::Subscribe(change));
        }
        reply.ok();
        return Ok(Outcome::Track);
    }
    if !args.is(2, "ON") {
        return Err(Error::Syntax);
    }
    let old = at.session.tracking.as_deref();
    check(old, &options)?;
    let known = old.map(|tracking| tracking.prefixes.clone()).unwrap_or_default();
    if let Some(text) = collision(&known, &options.prefixes) {
        reply.error(&text);
        return Ok(Outcome::Done);
    }
    if options.broadcast && options.prefixes.is_empty() {
        options.prefixes.push(Box::default());
    }
    let names = options.prefixes.clone();
    let mut prefixes = [known, options.prefixes].concat();
    prefixes.sort_unstable();
    prefixes.dedup();
    at.session.tracking = Some(Box::new(Tracking {
        redirect: options.redirect,
        is_broken: false,
        broadcast: options.broadcast,
        opt_in: options.opt_in,
        opt_out: options.opt_out,
        no_loop: options.no_loop,
        caching: None,
        prefixes,
    }));
    if options.broadcast {
        return Ok(Outcome::Subscribe(Change { kind: Kind::Prefix, joins: true, names }));
    }
    reply.ok();
    Ok(Outcome::Track)
}

/// What follows ON or OFF.
fn parse(at: &Context<'_>, args: &Args<'_>) -> Result<Options, Error> {
    let mut options = Options::default();
    let mut index = 3;
    while index < args.len() {
        let more = index + 1 < args.len();
        if args.is(index, "REDIRECT") && more {
            index += 1;
            if options.redirect.is_some() {
                return Err(Error::Text("ERR A client can only redirect to a single other client"));
            }
            let id = u64::try_from(args.int(index)?).ok();
            let known = id.filter(|id| at.server.home_of(*id).is_some());
            let missing = Error::Text("ERR The client ID you want redirect to does not exist");
            options.redirect = Some(known.ok_or(missing)?);
        } else if args.is(index, "BCAST") {
            options.broadcast = true;
        } else if args.is(index, "OPTIN") {
            options.opt_in = true;
        } else if args.is(index, "OPTOUT") {
            options.opt_out = true;
        } else if args.is(index, "NOLOOP") {
            options.no_loop = true;
        } else if args.is(index, "PREFIX") && more {
            index += 1;
            options.prefixes.push(args.at(index).into());
        } else {
            return Err(Error::Syntax);
        }
        index += 1;
    }
    Ok(options)
}

/// True if the options go together, and with what the client has said before.
fn check(old: Option<&Tracking>, new: &Options) -> Result<(), Error> {
    if !new.broadcast && !new.prefixes.is_empty() {
        return Err(Error::Text("ERR PREFIX option requires BCAST mode to be enabled"));
    }
    if old.is_some_and(|old| old.broadcast != new.broadcast) {
        return Err(Error::Text(
            "ERR You can't switch BCAST mode on/off before disabling tracking for this client, \
             and then re-enabling it with a different mode.",
        ));
    }
    if new.broadcast && (new.opt_in || new.opt_out) {
        return Err(Error::Text("ERR OPTIN and OPTOUT are not compatible with BCAST"));
    }
    if new.opt_in && new.opt_out {
        return Err(Error::Text("ERR You can't specify both OPTIN mode and OPTOUT mode"));
    }
    if old.is_some_and(|old| new.opt_in && old.opt_out || new.opt_out && old.opt_in) {
        return Err(Error::Text(
            "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, \
             and then re-enabling it with a different mode.",
        ));
    }
    Ok(())
}

/// What is wrong if a prefix begins another.
fn collision(known: &[Box<[u8]>], new: &[Box<[u8]>]) -> Option<Vec<u8>> {
    let overlap = |one: &[u8], other: &[u8]| one.starts_with(other) || other.starts_with(one);
    for (index, prefix) in new.iter().enumerate() {
        let old = known.iter().find(|old| overlap(old, prefix)).map(|old| ("an existing", old));
        let later = new[index + 1..].iter().find(|later| overlap(later, prefix));
        if let Some((which, other)) = old.or(later.map(|later| ("another provided", later))) {
            let text = [
                b"ERR Prefix '",
                &**prefix,
                b"' overlaps with ",
                which.as_bytes(),
                b" prefix '",
                other,
                b"'. Prefixes for a single client must not overlap.",
            ];
            return Some(text.concat());
        }
    }
    None
}

/// CLIENT CACHING YES | NO
pub(super) fn caching(
    at: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, Error> {
    let Some(tracking) = at.session.tracking.as_mut() else {
        return Err(Error::Text(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN \
             or OPTOUT mode enabled",
        ));
    };
    if args.is(2, "YES") {
        if !tracking.opt_in {
            return Err(Error::Text(
                "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
            ));
        }
        tracking.caching = Some(true);
    } else if args.is(2, "NO") {
        if !tracking.opt_out {
            return Err(Error::Text(
                "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
            ));
        }
        tracking.caching = Some(false);
    } else {
        return Err(Error::Syntax);
    }
    reply.ok();
    Ok(Outcome::Done)
}

/// CLIENT GETREDIR
pub(super) fn getredir(
    at: &mut Context<'_>,
    _: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, Error> {
    reply.int(redirect(at.session.tracking.as_deref()));
    Ok(Outcome::Done)
}

/// To which client invalidations go: 0 is this one, and -1 that there are none.
pub(super) fn redirect(tracking: Option<&Tracking>) -> i64 {
    tracking.map_or(-1, |tracking| tracking.redirect.unwrap_or(0) as i64)
}

/// CLIENT TRACKINGINFO
pub(super) fn trackinginfo(
    at: &mut Context<'_>,
    _: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, Error> {
    let tracking = at.session.tracking.as_deref();
    let off = Tracking::default();
    let own = tracking.unwrap_or(&off);
    let flags = [
        (tracking.is_none(), "off"),
        (tracking.is_some(), "on"),
        (own.broadcast, "bcast"),
        (own.opt_in, "optin"),
        (own.caching == Some(true), "caching-yes"),
        (own.opt_out, "optout"),
        (own.caching == Some(false), "caching-no"),
        (own.no_loop, "noloop"),
        (own.is_broken, "broken_redirect"),
    ];
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(flags.iter().filter(|(set, _)| *set).count());
    for (_, flag) in flags.iter().filter(|(set, _)| *set) {
        reply.bulk(flag.as_bytes());
    }
    reply.bulk(b"redirect");
    reply.int(redirect(tracking));
    reply.bulk(b"prefixes");
    // All keys have no prefix to be shown.
    let shown = || own.prefixes.iter().filter(|_| own.broadcast);
    reply.array(shown().count());
    shown().for_each(|prefix| reply.bulk(prefix));
    Ok(Outcome::Done)
}
