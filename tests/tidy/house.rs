//! Rules on the house: its rooms, its doors, and what stands at its top.

use super::tree::{Breach, Tree};

const README_LINES_MAX: usize = 200;
/// The command that runs the tests, in the README and in CI.
const TEST_COMMAND: &str = "cargo x ci";
/// What stands at the top, files with a dot aside.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE",
    "README.md",
    "bench",
    "deploy",
    "io",
    "lua",
    "rdb",
    "scripts",
    "shards",
    "src",
    "tests",
];
/// Crates that reach the kernel: named by io alone.
const KERNEL: &[&str] = &["glommio", "glommio-ng", "io-uring", "libc", "nix"];
/// Packages of the house that a manifest must not name: the arrows point one way.
const NOT_NAMED: &[(&str, &[&str])] = &[
    ("io/Cargo.toml", &["pinion", "pinion-shards", "pinion-lua", "pinion-bench"]),
    ("lua/Cargo.toml", &["pinion", "pinion-shards", "pinion-rdb", "pinion-bench"]),
    ("rdb/Cargo.toml", &["pinion", "pinion-shards", "pinion-io", "pinion-lua", "pinion-bench"]),
    ("shards/Cargo.toml", &["pinion", "pinion-bench"]),
    ("Cargo.toml", &["pinion-bench"]),
];

pub(crate) fn rooms(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in tree.rust("") {
        let code: Vec<&str> = file.code.lines().collect();
        let text: Vec<&str> = file.text.lines().collect();
        for (index, line) in code.iter().enumerate() {
            if !line.contains("allow(unsafe_code)") && !line.contains("expect(unsafe_code)") {
                continue;
            }
            // The attribute's line and those after it, up to the first with code.
            let next = (index + 1..code.len()).find(|&next| !code[next].trim().is_empty());
            let end = next.unwrap_or(code.len());
            let described = text[index..end].iter().any(|line| line.contains("// Room: "));
            let is_module = next.is_some_and(|next| {
                let line = code[next].trim();
                line.ends_with(';') && line.split(' ').any(|word| word == "mod")
            });
            let house = ["io/", "lua/", "shards/"].iter().any(|top| file.path.starts_with(top));
            if !described || !is_module || !house {
                breaches.push(file.breach(index + 1, "not a room"));
            }
        }
    }
    breaches
}

pub(crate) fn manifests(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        let mut in_dependencies = false;
        for (index, line) in file.text.lines().enumerate() {
            if line.starts_with('[') {
                // The workspace's own list only says where its packages are.
                in_dependencies = line.contains("dependencies") && !line.starts_with("[workspace.");
            }
            let name = line.split(['=', '.', ' ']).next().unwrap_or("").trim_matches('"');
            let kernel = file.path != "io/Cargo.toml" && KERNEL.contains(&name);
            let hidden = file.path != "io/Cargo.toml"
                && KERNEL.iter().any(|name| line.contains(&format!("package = \"{name}\"")));
            let backwards = NOT_NAMED
                .iter()
                .any(|(manifest, names)| *manifest == file.path && names.contains(&name));
            if in_dependencies && (kernel || hidden || backwards) {
                breaches.push(file.breach(index + 1, name));
            }
        }
    }
    breaches
}

pub(crate) fn top_level(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in &tree.files {
        let top = file.path.split('/').next().unwrap_or(&file.path);
        if !top.starts_with('.') && !TOP.contains(&top) {
            breaches.push(file.breach(0, "not a name of the top level"));
        }
    }
    breaches
}

pub(crate) fn readme(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for path in ["README.md", ".ci/run"] {
        let Some(file) = tree.find(path) else {
            let [nowhere] = &Tree::of(vec![(path, String::new())]).files[..] else { continue };
            breaches.push(nowhere.breach(0, "missing"));
            continue;
        };
        if !file.text.contains(TEST_COMMAND) {
            breaches.push(file.breach(0, format!("does not say {TEST_COMMAND}")));
        }
        let lines = file.text.lines().count();
        if lines > README_LINES_MAX {
            breaches.push(file.breach(lines, format!("{lines} lines")));
        }
    }
    breaches
}
