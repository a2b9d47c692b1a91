//! The files of the repository, read once.

use super::code::{Kept, keep};
use std::fmt;
use std::io;
use std::path::Path;

/// Folders that hold nothing written by hand.
const SKIPPED: &[&str] = &[".git", "target", "bench/out"];

/// A place where a rule is broken.
#[derive(Debug)]
pub(crate) struct Breach {
    /// The file, from the top of the repository.
    pub(crate) path: String,
    /// From 1; 0 is the whole file.
    line: usize,
    what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// One file.
#[derive(Debug)]
pub(crate) struct File {
    /// Its path from the top of the repository, with `/`.
    pub(crate) path: String,
    /// What it holds; empty where that is no text.
    pub(crate) text: String,
    /// The text without comments and without what is in quotes; as many lines.
    pub(crate) code: String,
    /// Lines before its tests; all of them, or none in a file that is a test itself.
    pub(crate) lines_before_tests: usize,
}

/// Every file.
#[derive(Debug)]
pub(crate) struct Tree {
    /// In the order of their paths.
    pub(crate) files: Vec<File>,
}

impl File {
    fn new(path: String, text: String) -> Self {
        let code = if path.ends_with(".rs") { keep(&text, Kept::Code) } else { String::new() };
        let lines: Vec<&str> = text.lines().collect();
        let starts_tests = |pair: &[&str]| {
            is_for_tests(pair[0]) && pair[1].starts_with("mod ") && !pair[1].ends_with(';')
        };
        let tests = lines.windows(2).position(starts_tests);
        let lines_before_tests = tests.unwrap_or(lines.len());
        Self { path, text, code, lines_before_tests }
    }

    /// A breach at a line, counted from 1; 0 is the whole file.
    pub(crate) fn breach(&self, line: usize, what: impl Into<String>) -> Breach {
        Breach { path: self.path.clone(), line, what: what.into() }
    }

    /// Lines of code outside tests, counted from 1.
    pub(crate) fn code_before_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.code.lines().enumerate().map(|(index, line)| (index + 1, line));
        numbered.take(self.lines_before_tests)
    }
}

impl Tree {
    /// A tree of these paths and texts.
    pub(crate) fn of(texts: Vec<(&str, String)>) -> Self {
        let texts = texts.into_iter().map(|(path, text)| (path.to_owned(), text));
        let mut files: Vec<_> = texts.map(|(path, text)| File::new(path, text)).collect();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let tests: Vec<String> = files.iter().flat_map(test_modules).collect();
        for file in &mut files {
            let whole = file.path.starts_with("tests/");
            if whole || tests.iter().any(|test| file.path.starts_with(test)) {
                file.lines_before_tests = 0;
            }
        }
        Self { files }
    }

    /// The tree at `top`.
    pub(crate) fn read(top: &Path) -> io::Result<Self> {
        let mut texts = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(top.join(&folder))? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                if SKIPPED.contains(&path.as_str()) {
                    continue;
                }
                if entry.file_type()?.is_dir() {
                    folders.push(path);
                } else {
                    let bytes = std::fs::read(entry.path())?;
                    texts.push((path, String::from_utf8(bytes).unwrap_or_default()));
                }
            }
        }
        Ok(Self::of(texts.iter().map(|(path, text)| (path.as_str(), text.clone())).collect()))
    }

    /// The Rust files, `folder` at the start of their path.
    pub(crate) fn rust(&self, folder: &str) -> impl Iterator<Item = &File> {
        let inside = move |file: &&File| file.path.starts_with(folder);
        self.files.iter().filter(|file| file.path.ends_with(".rs")).filter(inside)
    }

    /// The file at `path`.
    pub(crate) fn find(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// Starts of the paths of modules that this file declares for tests only.
fn test_modules(file: &File) -> Vec<String> {
    let folder = match file.path.rsplit_once('/') {
        Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder.to_owned(),
        _ => file.path.trim_end_matches(".rs").to_owned(),
    };
    let mut tests = Vec::new();
    let mut is_test = false;
    for line in file.text.lines() {
        if let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'))
            && is_test
        {
            tests.extend([format!("{folder}/{name}.rs"), format!("{folder}/{name}/")]);
        }
        is_test = is_for_tests(line);
    }
    tests
}

/// True for `#[cfg(test)]`, and for `#[cfg(all(test, ...))]`.
fn is_for_tests(line: &str) -> bool {
    line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test,")
}
