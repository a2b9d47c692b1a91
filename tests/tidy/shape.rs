//! Rules on the shape of files: lengths, blanks, and the sentence at their top.

use super::tree::{Breach, File, Tree};

const LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;

pub(crate) fn lines(tree: &Tree) -> Vec<Breach> {
    let check = |file: &File| {
        let is_program = file.path.starts_with("tests/");
        let lines = if is_program { file.text.lines().count() } else { file.lines_before_tests };
        (lines > LINES_MAX).then(|| file.breach(lines, format!("{lines} lines")))
    };
    tree.rust("").filter_map(check).collect()
}

pub(crate) fn columns(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in tree.rust("") {
        for (index, line) in file.text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > COLUMNS_MAX {
                breaches.push(file.breach(index + 1, format!("{columns} columns")));
            }
        }
    }
    breaches
}

pub(crate) fn functions(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in tree.rust("") {
        let mut at = 0;
        while let Some(found) = file.code[at..].find("fn ") {
            let start = at + found;
            at = start + 3;
            if file.code[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let Some(len) = body_end(&file.code[start..]) else { continue };
            let lines = file.code[start..start + len].lines().count();
            if lines > FUNCTION_LINES_MAX {
                let line = file.code[..start].lines().count().max(1);
                breaches.push(file.breach(line, format!("a function of {lines} lines")));
            }
        }
    }
    breaches
}

/// Bytes to the end of the function that begins here; none if it has no body.
fn body_end(code: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut nested = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => nested += 1,
            ')' | ']' => nested = nested.saturating_sub(1),
            ';' if depth == 0 && nested == 0 => return None,
            '{' => depth += 1,
            '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

pub(crate) fn blanks(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    // In a golden script a space may be what is tested.
    let written = |file: &&File| !file.path.starts_with("tests/commands/");
    for file in tree.files.iter().filter(written).filter(|file| !file.text.is_empty()) {
        for (index, line) in file.text.lines().enumerate() {
            if line.ends_with([' ', '\r']) || line.contains('\t') {
                breaches.push(file.breach(index + 1, "a tab, or a blank at the end"));
            }
        }
        if !file.text.ends_with('\n') || file.text.ends_with("\n\n") {
            breaches.push(file.breach(0, "the end of the file"));
        }
    }
    breaches
}

pub(crate) fn head(tree: &Tree) -> Vec<Breach> {
    let begins = |file: &File| {
        let mut last = None;
        for line in file.text.lines() {
            match line.strip_prefix("//! ") {
                Some(text) => last = Some(text),
                None => break,
            }
        }
        last.is_some_and(|text| text.ends_with('.'))
    };
    tree.rust("").filter(|file| !begins(file)).map(|file| file.breach(1, "its top")).collect()
}
