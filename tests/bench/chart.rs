//! How time, memory and disk grow with the chain: three panels side by side, both axes logarithmic.

use std::fmt::Write as _;

/// One sync.
pub(crate) struct Point {
    pub(crate) policy: &'static str,
    pub(crate) headers: u64,
    pub(crate) seconds: f64,
    /// Peak, in MB.
    pub(crate) memory: f64,
    /// In MB.
    pub(crate) disk: f64,
}

const SIDE: f64 = 220.0;
const LEFT: f64 = 50.0;
const TOP: f64 = 40.0;
const PANEL: f64 = LEFT + SIDE + 30.0;
const SERIES: [(&str, &str); 2] = [("all", "#b03a2e"), ("sampled", "#1f618d")];

/// What a panel shows: its title, a point's figure, the goal to draw if there is one.
type Panel = (&'static str, fn(&Point) -> f64, Option<f64>);

const PANELS: [Panel; 3] = [
    ("time to head, s", |point| point.seconds, None),
    ("peak memory, MB (goal: 48)", |point| point.memory, Some(48.0)),
    ("disk after, MB (goal: 10)", |point| point.disk, Some(10.0)),
];

/// The chart as an SVG file.
pub(crate) fn svg(points: &[Point]) -> String {
    let (width, height) = (PANEL * 3.0, TOP + SIDE + 70.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    let numbers = points.iter().map(|point| point.headers as f64);
    let across = decades(numbers);
    for (index, (title, figure, goal)) in PANELS.iter().enumerate() {
        let left = LEFT + PANEL * index as f64;
        let up = decades(points.iter().map(figure).chain(*goal));
        let x = |value: f64| left + SIDE * place(value, across);
        let y = |value: f64| TOP + SIDE * (1.0 - place(value, up));
        let _ = writeln!(out, "<text x=\"{left}\" y=\"{}\" font-size=\"13\">{title}</text>", TOP - 14.0);
        for power in across.0..=across.1 {
            let at = x(10f64.powi(power));
            let _ = writeln!(out, "<path d=\"M{at:.1} {TOP}v{SIDE}\" stroke=\"#ddd\"/>");
            let name = name(power);
            let _ =
                writeln!(out, "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>", TOP + SIDE + 15.0);
        }
        for power in up.0..=up.1 {
            let at = y(10f64.powi(power));
            let _ = writeln!(out, "<path d=\"M{left} {at:.1}h{SIDE}\" stroke=\"#ddd\"/>");
            let name = name(power);
            let _ = writeln!(out, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>", left - 5.0, at + 4.0);
        }
        if let Some(goal) = goal {
            let at = y(*goal);
            let _ = writeln!(out, "<path d=\"M{left} {at:.1}h{SIDE}\" stroke=\"#888\" stroke-dasharray=\"4 3\"/>");
        }
        for (policy, colour) in SERIES {
            let places: Vec<_> = points
                .iter()
                .filter(|point| point.policy == policy)
                .map(|point| (x(point.headers as f64), y(figure(point)), figure(point)))
                .collect();
            let line: Vec<_> = places.iter().map(|(x, y, _)| format!("{x:.1},{y:.1}")).collect();
            let _ = writeln!(out, "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\"/>", line.join(" "));
            let shift = if policy == "all" { -7.0 } else { 15.0 };
            for (x, y, value) in places {
                let _ = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
                let y = y + shift;
                let digits = usize::from(value < 10.0);
                let _ = writeln!(
                    out,
                    "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" fill=\"{colour}\">{value:.digits$}</text>"
                );
            }
        }
        let (middle, below) = (left + SIDE / 2.0, TOP + SIDE + 32.0);
        let _ = writeln!(out, "<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">clique headers</text>");
    }
    for (index, (policy, colour)) in SERIES.iter().enumerate() {
        let (x, y) = (LEFT + 160.0 * index as f64, height - 10.0);
        let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">● --verify-seals {policy}</text>");
    }
    out + "</svg>\n"
}

/// The powers of ten around some values.
fn decades(values: impl Iterator<Item = f64>) -> (i32, i32) {
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    let low = low.max(0.001).log10().floor() as i32;
    (low, (high.log10().ceil() as i32).max(low + 1))
}

fn place(value: f64, (low, high): (i32, i32)) -> f64 {
    (value.max(0.001).log10() - f64::from(low)) / f64::from(high - low)
}

fn name(power: i32) -> String {
    match power {
        6.. => format!("{} M", 10i64.pow(power as u32 - 6)),
        3..6 => format!("{} k", 10i64.pow(power as u32 - 3)),
        0..3 => format!("{}", 10i64.pow(power as u32)),
        _ => format!("{}", 10f64.powi(power)),
    }
}
