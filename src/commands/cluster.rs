//! CLUSTER and what goes with it: known by name, so that rules can name them, and refused, since
//! this server is no part of a cluster.

use super::{Context, Outcome, SessionRow};
use pinion_io::resp::Reply;
use pinion_shards::commands::{Args, CONNECTION, Flags, Group, Plan, Row};
use pinion_shards::error::Error;

/// Every command of this file.
fn refuse(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Err(Error::Text("ERR This instance has cluster support disabled"))
}

/// The container's name never runs alone: its arity asks for a subcommand.
fn alone(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Err(Error::Arity("cluster"))
}

const QUICK: &[Flags] = &[Flags::LOADING, Flags::STALE, Flags::FAST];
const READY: &[Flags] = &[Flags::LOADING, Flags::STALE];
const TELLS: &[Flags] = &[Flags::STALE];
const ADMIN: &[Flags] = &[Flags::ADMIN, Flags::STALE];

const fn row(name: &'static str, arity: i8, flags: &[Flags]) -> Row {
    Row::new(name, arity, Group::Cluster, Plan::Session).flags(flags)
}

const fn own(name: &'static str, flags: &[Flags], about: &'static str) -> SessionRow {
    SessionRow::new(row(name, 1, flags).categories(CONNECTION).about("3.0.0", about), refuse)
}

const fn inner(
    (name, since): (&'static str, &'static str),
    arity: i8,
    flags: &[Flags],
    about: &'static str,
) -> SessionRow {
    SessionRow::new(row(name, arity, flags).about(since, about), refuse)
}

pub(super) static ROWS: &[SessionRow] = &[
    own("readonly", QUICK, "Allows reads of a replica of a cluster"),
    own("readwrite", QUICK, "Forbids reads of a replica of a cluster"),
    own("asking", &[Flags::FAST], "Says that the next command follows a redirection"),
    SessionRow::container(
        row("cluster", -2, &[])
            .about("3.0.0", "A container for commands of cluster mode, which is off"),
        alone,
        SUBCOMMANDS,
    ),
];

static SUBCOMMANDS: &[SessionRow] = &[
    inner(("cluster|addslots", "3.0.0"), -3, ADMIN, "Gives slots to the node"),
    inner(("cluster|addslotsrange", "7.0.0"), -4, ADMIN, "Gives ranges of slots to the node"),
    inner(("cluster|bumpepoch", "3.0.0"), 2, ADMIN, "Raises the configuration's epoch"),
    inner(
        ("cluster|count-failure-reports", "3.0.0"),
        3,
        ADMIN,
        "Returns how many hold a node to have failed",
    ),
    inner(("cluster|countkeysinslot", "3.0.0"), 3, TELLS, "Returns how many keys a slot has"),
    inner(("cluster|delslots", "3.0.0"), -3, ADMIN, "Takes slots from the node"),
    inner(("cluster|delslotsrange", "7.0.0"), -4, ADMIN, "Takes ranges of slots from the node"),
    inner(("cluster|failover", "3.0.0"), -2, ADMIN, "Has a replica take over"),
    inner(("cluster|flushslots", "3.0.0"), 2, ADMIN, "Takes all slots from the node"),
    inner(("cluster|forget", "3.0.0"), 3, ADMIN, "Forgets a node"),
    inner(("cluster|getkeysinslot", "3.0.0"), 4, TELLS, "Returns some keys of a slot"),
    inner(("cluster|help", "5.0.0"), 2, READY, "Returns help on the subcommands"),
    inner(("cluster|info", "3.0.0"), 2, TELLS, "Returns the state of the node"),
    inner(("cluster|keyslot", "3.0.0"), 3, TELLS, "Returns the slot of a key"),
    inner(("cluster|links", "7.0.0"), 2, TELLS, "Returns the connections between nodes"),
    inner(("cluster|meet", "3.0.0"), -4, ADMIN, "Brings a node into the cluster"),
    inner(("cluster|myid", "3.0.0"), 2, TELLS, "Returns the node's id"),
    inner(("cluster|myshardid", "7.2.0"), 2, TELLS, "Returns the id of the node's shard"),
    inner(("cluster|nodes", "3.0.0"), 2, TELLS, "Returns the nodes, a line each"),
    inner(("cluster|replicas", "5.0.0"), 3, ADMIN, "Returns the replicas of a node"),
    inner(("cluster|replicate", "3.0.0"), 3, ADMIN, "Has the node follow another"),
    inner(
        ("cluster|reset", "3.0.0"),
        -2,
        &[Flags::ADMIN, Flags::NOSCRIPT, Flags::STALE],
        "Makes the node as if it were new",
    ),
    inner(("cluster|saveconfig", "3.0.0"), 2, ADMIN, "Writes the cluster's configuration"),
    inner(("cluster|set-config-epoch", "3.0.0"), 3, ADMIN, "Sets the configuration's epoch"),
    inner(("cluster|setslot", "3.0.0"), -4, ADMIN, "Says where a slot is, or goes"),
    inner(("cluster|shards", "7.0.0"), 2, READY, "Returns the shards with their nodes"),
    inner(("cluster|slaves", "3.0.0"), 3, ADMIN, "Returns the replicas of a node"),
    inner(("cluster|slots", "3.0.0"), 2, READY, "Returns which node has which slots"),
];
