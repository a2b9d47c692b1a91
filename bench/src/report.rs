//! Figures of many rounds: their medians in a table with ratios, and all of them in a file.

use std::io::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// A kind of figure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// Its name, with its unit.
    pub(crate) name: &'static str,
    /// Digits after the point.
    pub(crate) decimals: usize,
    /// Show what the first server's is of this one's.
    pub(crate) is_compared: bool,
}

/// The figures of a case.
#[derive(Debug)]
pub(crate) struct Report {
    case: &'static str,
    columns: &'static [Column],
    rows: Vec<Row>,
}

/// The figures of a server in a test, one list a round; what is not known is not a number.
#[derive(Debug)]
struct Row {
    test: String,
    server: String,
    rounds: Vec<Vec<f64>>,
}

impl Report {
    /// A report without figures.
    pub(crate) fn new(case: &'static str, columns: &'static [Column]) -> Self {
        Self { case, columns, rows: Vec::new() }
    }

    /// Adds the figures of a round, one for each column.
    pub(crate) fn add(&mut self, test: &str, server: &str, figures: &[f64]) {
        assert_eq!(figures.len(), self.columns.len(), "a figure for each column");
        let shown: Vec<String> = self
            .columns
            .iter()
            .zip(figures)
            .map(|(column, &figure)| format!("{} {}", show(figure, column.decimals), column.name))
            .collect();
        eprintln!("{test:22} {server:24} {}", shown.join(", "));
        let same = |row: &&mut Row| row.test == test && row.server == server;
        if let Some(row) = self.rows.iter_mut().find(same) {
            row.rounds.push(figures.to_vec());
            return;
        }
        let rounds = vec![figures.to_vec()];
        // Tests stay together, in the order in which they first came.
        let last = self.rows.iter().rposition(|row| row.test == test);
        let at = last.map_or(self.rows.len(), |last| last + 1);
        self.rows.insert(at, Row { test: test.to_owned(), server: server.to_owned(), rounds });
    }

    /// Prints the table of medians and writes everything to a file under `bench/out`.
    pub(crate) fn finish(&self) -> Result<(), String> {
        let failed = |error| format!("printing: {error}");
        std::io::stdout().lock().write_all(self.table().as_bytes()).map_err(failed)?;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("out");
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let path = folder.join(format!("{}-{time}.json", self.case));
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(&path, self.json()))
            .map_err(|error| format!("writing {}: {error}", path.display()))?;
        eprintln!("saved as {}", path.display());
        Ok(())
    }

    /// Prints the geometric mean over `tests` of the first server's figure over each other's.
    pub(crate) fn print_mean(&self, title: &str, tests: &[String], column: &str) {
        let Some(index) = self.columns.iter().position(|own| own.name == column) else { return };
        let Some(first) = self.rows.first().map(|row| &row.server) else { return };
        let median = |test: &str, server: &str| {
            let mut rows = self.rows.iter();
            rows.find(|row| row.test == test && row.server == server).map(|row| row.median(index))
        };
        let mut others: Vec<&String> = self.rows.iter().map(|row| &row.server).collect();
        others.sort();
        others.dedup();
        for other in others.into_iter().filter(|other| *other != first) {
            let ratios = tests.iter().filter_map(|test| {
                let ratio = median(test, first)? / median(test, other)?;
                ratio.is_finite().then(|| ratio.ln())
            });
            let logs: Vec<f64> = ratios.collect();
            let mean = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
            eprintln!(
                "{title}: {column} of {first} over {other}, geometric mean {}",
                show(mean, 3)
            );
        }
    }

    /// A table in Markdown. A ratio is the first server's figure over the row's.
    fn table(&self) -> String {
        let mut head = "| test | server |".to_owned();
        let mut rule = "|---|---|".to_owned();
        for column in self.columns {
            head += &format!(" {} |", column.name);
            rule += "---|";
            if column.is_compared {
                head += " ratio |";
                rule += "---|";
            }
        }
        let mut table = format!("{head}\n{rule}\n");
        for row in &self.rows {
            table += &format!("| {} | {} |", row.test, row.server);
            let first = self.rows.iter().find(|first| first.test == row.test);
            for (index, column) in self.columns.iter().enumerate() {
                let own = row.median(index);
                table += &format!(" {} |", show(own, column.decimals));
                if column.is_compared {
                    let ratio = first.map_or(f64::NAN, |first| first.median(index) / own);
                    table += &format!(" {} |", show(ratio, 2));
                }
            }
            table.push('\n');
        }
        table
    }

    fn json(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace(['"', '\\'], "'"));
        let number =
            |figure: f64| if figure.is_finite() { figure.to_string() } else { "null".into() };
        let rows: Vec<String> = self
            .rows
            .iter()
            .map(|row| {
                let columns = self.columns.iter().enumerate().map(|(index, column)| {
                    let rounds: Vec<String> =
                        row.rounds.iter().map(|figures| number(figures[index])).collect();
                    let name = quoted(column.name);
                    let median = number(row.median(index));
                    format!("{name}: {{\"median\": {median}, \"rounds\": [{}]}}", rounds.join(", "))
                });
                let columns: Vec<String> = columns.collect();
                let (test, server) = (quoted(&row.test), quoted(&row.server));
                format!("{{\"test\": {test}, \"server\": {server}, {}}}", columns.join(", "))
            })
            .collect();
        let case = quoted(self.case);
        format!("{{\"case\": {case}, \"results\": [\n  {}\n]}}\n", rows.join(",\n  "))
    }
}

impl Row {
    /// The median over the rounds in which the figure was known.
    fn median(&self, index: usize) -> f64 {
        let known = self.rounds.iter().map(|figures| figures[index]);
        let mut known: Vec<f64> = known.filter(|figure| figure.is_finite()).collect();
        known.sort_by(f64::total_cmp);
        let half = known.len() / 2;
        match known.len() {
            0 => f64::NAN,
            len if len.is_multiple_of(2) => f64::midpoint(known[half - 1], known[half]),
            _ => known[half],
        }
    }
}

/// A figure with so many decimals, or a dash.
fn show(figure: f64, decimals: usize) -> String {
    if figure.is_finite() { format!("{figure:.decimals$}") } else { "-".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    static COLUMNS: &[Column] = &[
        Column { name: "a", decimals: 1, is_compared: true },
        Column { name: "b", decimals: 0, is_compared: false },
    ];

    #[test]
    fn medians_and_ratios() {
        let mut report = Report::new("case", COLUMNS);
        for (server, a) in [("ours", 1.0), ("other", 2.0), ("ours", 3.0), ("ours", f64::NAN)] {
            report.add("one", server, &[a, 5.0]);
        }
        report.add("two", "ours", &[7.0, f64::NAN]);
        report.add("one", "other", &[6.0, 5.0]);
        let table = report.table();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| one | ours | 2.0 | 1.00 | 5 |",
                "| one | other | 4.0 | 0.50 | 5 |",
                "| two | ours | 7.0 | 1.00 | - |"
            ]
        );
        assert!(report.json().contains("\"median\": 2, \"rounds\": [1, 3, null]"));
    }
}
