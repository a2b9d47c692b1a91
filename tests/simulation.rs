//! Whole meshes on one thread under a seed, and histories that must have been possible.
//!
//! `PINION_SIM_SEEDS` seeds from `PINION_SIM_SEED` on are run, each with every workload; `cargo x
//! sim [SEEDS [FIRST]]` runs more of them. A failure names its workload and seed, which show the
//! same again, whatever the machine.

#[path = "simulation/checkers/mod.rs"]
mod checkers;

mod simulation {
    pub(crate) mod limits;
    pub(crate) mod mesh;
    pub(crate) mod readers;
    pub(crate) mod source;
    pub(crate) mod stage;
    pub(crate) mod workloads;
}

use simulation::mesh::Planted;
use simulation::workloads::{ALL, Workload};
use std::time::Instant;

/// Seeds that run where nothing else is said.
const SEEDS: u64 = 1_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_seed_is_strictly_serialisable() {
    let first = number("PINION_SIM_SEED").unwrap_or(1);
    let count = number("PINION_SIM_SEEDS").unwrap_or(SEEDS);
    let only = std::env::var("PINION_SIM_ONLY").ok();
    let began = Instant::now();
    for seed in first..first + count {
        for (name, run) in ALL.iter().filter(|(name, _)| only.as_deref().is_none_or(|o| o == *name))
        {
            if let Err(error) = run(seed, None) {
                panic!("{name}, PINION_SIM_SEED={seed}: {error}");
            }
        }
    }
    eprintln!("{count} seeds from {first}, {} workloads, {:?}", ALL.len(), began.elapsed());
}

/// Seeds within which a planted fault must show.
const PLANTED_SEEDS: u64 = 300;

#[test]
fn planted_faults_are_found() {
    for planted in [Planted::EarlyRelease, Planted::LostWake, Planted::NoTickets] {
        let mut seeds = 1..=PLANTED_SEEDS;
        let found = seeds.find_map(|seed| {
            let run = |(name, run): &Workload| Some((*name, seed, run(seed, Some(planted)).err()?));
            ALL.iter().find_map(run)
        });
        let (name, seed, error) = found.unwrap_or_else(|| panic!("{planted:?} is not found"));
        eprintln!("{planted:?}: {name}, seed {seed}: {error}");
    }
}
