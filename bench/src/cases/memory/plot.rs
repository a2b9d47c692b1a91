//! A plot of lines, as SVG: both axes in doublings.

use std::fmt::Write as _;
use std::path::Path;

/// Points in the order of their places.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const MARGIN: f64 = 48.0;
static COLOURS: &[&str] = &["#c0392b", "#2c6fbb", "#3a9d5d", "#999999", "#8e44ad"];

/// Writes the plot to a file under `bench/out`.
pub(super) fn save(name: &str, lines: &[Line]) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("out").join(format!("{name}.svg"));
    let folder = path.parent().unwrap_or(&path);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, draw(lines)))
        .map_err(|error| format!("writing {}: {error}", path.display()))?;
    eprintln!("saved as {}", path.display());
    Ok(())
}

fn draw(lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let bounds = |of: fn(&(f64, f64)) -> f64| {
        let least = points().map(of).fold(f64::INFINITY, f64::min).log2().floor();
        let most = points().map(of).fold(1.0, f64::max).log2().ceil();
        (least, most.max(least + 1.0))
    };
    let (across, up) = (bounds(|point| point.0), bounds(|point| point.1));
    let at = |(from, to): (f64, f64), value: f64| (value.log2() - from) / (to - from);
    let x = |value: f64| MARGIN + at(across, value) * (WIDTH - 2.0 * MARGIN);
    let y = |value: f64| HEIGHT - MARGIN - at(up, value) * (HEIGHT - 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    let mut add = |element: std::fmt::Arguments<'_>| {
        writeln!(svg, "{element}").expect("a string takes whatever is written");
    };
    let doublings =
        |(from, to): (f64, f64)| (from as i32..=to as i32).map(|power| 2f64.powi(power));
    let (left, right, top, bottom) = (MARGIN, WIDTH - MARGIN, MARGIN, HEIGHT - MARGIN);
    for value in doublings(across) {
        let x = x(value);
        add(format_args!("<path d=\"M{x:.1} {top}V{bottom}\" stroke=\"#eee\"/>"));
        let y = bottom + 16.0;
        add(format_args!("<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{value}</text>"));
    }
    for value in doublings(up) {
        let y = y(value);
        add(format_args!("<path d=\"M{left} {y:.1}H{right}\" stroke=\"#eee\"/>"));
        let x = left - 6.0;
        add(format_args!("<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{value}</text>"));
    }
    for (index, line) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let places: Vec<String> = line
            .points
            .iter()
            .map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1)))
            .collect();
        let places = places.join(" ");
        add(format_args!(
            "<polyline points=\"{places}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
        ));
        let (x, y) = (left + 12.0, top + 16.0 * (index + 1) as f64);
        add(format_args!("<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{}</text>", line.name));
    }
    let (middle, below) = (WIDTH / 2.0, HEIGHT - 12.0);
    add(format_args!(
        "<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">bytes of the value</text>"
    ));
    add(format_args!("<text x=\"{left}\" y=\"28\">bytes of memory a key of 16 bytes takes</text>"));
    svg += "</svg>\n";
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lie_between_the_axes() {
        let points = vec![(1.0, 40.0), (32.0, 70.0), (1024.0, 1100.0)];
        let svg = draw(&[Line { name: "ours".into(), points }]);
        assert!(svg.contains(">1024</text>") && svg.ends_with("</svg>\n"));
        let places = svg.split("points=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        for place in places.split(' ') {
            let (x, y) = place.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((MARGIN..=WIDTH - MARGIN).contains(&x), "{place}");
            assert!((MARGIN..=HEIGHT - MARGIN).contains(&y), "{place}");
        }
    }
}
