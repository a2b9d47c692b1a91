//! Whole meshes on one thread under a seed, and histories that must have been possible.

#[path = "simulation/checkers/mod.rs"]
mod checkers;
