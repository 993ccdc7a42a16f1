//! Size against time, as SVG: a disc for ours and a ring for theirs, joined by a line.

use std::fmt::Write as _;

use super::Outcome;

const WIDTH: f64 = 940.0;
const HEIGHT: f64 = 520.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 310.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 60.0;
const COLOURS: [&str; 10] = [
    "#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#888888", "#994455",
    "#004488", "#997700",
];

/// The plot of the corpus that was measured last, which is the largest.
pub(super) fn draw(outcomes: &[Outcome]) -> String {
    let corpus = outcomes.last().map_or("", |outcome| outcome.corpus);
    let shown: Vec<&Outcome> = outcomes
        .iter()
        .filter(|outcome| outcome.corpus == corpus)
        .collect();
    let points: Vec<[(f64, f64); 2]> = shown.iter().map(|outcome| points(outcome)).collect();
    let all = || points.iter().flatten();
    let (fastest, slowest) = bounds(all().map(|point| point.0.log10()));
    let (_, largest) = bounds(all().map(|point| point.1));
    let x = |seconds: f64| {
        let share = (seconds.log10() - fastest) / (slowest - fastest).max(0.1);
        LEFT + share * (WIDTH - LEFT - RIGHT)
    };
    let y = |megabytes: f64| HEIGHT - BOTTOM - megabytes / largest * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>Size and time of read-only file systems of {corpus}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    axes(&mut svg, (fastest, slowest), largest, x, y);
    for (index, (outcome, [ours, theirs])) in shown.iter().zip(&points).enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let [(our_x, our_y), (their_x, their_y)] =
            [ours, theirs].map(|point| (x(point.0), y(point.1)));
        let legend = TOP + 20.0 + 22.0 * to_float(index);
        let (at, text) = (WIDTH - RIGHT + 20.0, WIDTH - RIGHT + 32.0);
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<g stroke=\"{colour}\" fill=\"{colour}\"><title>{title}</title>\
             <line x1=\"{our_x:.1}\" y1=\"{our_y:.1}\" x2=\"{their_x:.1}\" y2=\"{their_y:.1}\" stroke-dasharray=\"3 3\"/>\
             <circle cx=\"{our_x:.1}\" cy=\"{our_y:.1}\" r=\"5\"/>\
             <circle cx=\"{their_x:.1}\" cy=\"{their_y:.1}\" r=\"5\" fill=\"white\" stroke-width=\"2\"/>\
             <circle cx=\"{at}\" cy=\"{legend}\" r=\"5\"/></g>\
             <text x=\"{text}\" y=\"{baseline}\">{title}</text>",
            title = outcome.pair.title,
            baseline = legend + 4.0,
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Seconds and megabytes of ours and of theirs.
fn points(outcome: &Outcome) -> [(f64, f64); 2] {
    let seconds =
        |of: fn(&super::Round) -> f64| outcome.median(|round| Some(of(round))).unwrap_or(1.0);
    #[allow(clippy::cast_precision_loss)] // far below 2^52
    let [ours, theirs] = [outcome.ours, outcome.theirs].map(|bytes| bytes as f64 / 1e6);
    [
        (seconds(|round| round.ours), ours),
        (seconds(|round| round.theirs), theirs),
    ]
}

fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::MAX, f64::MIN), |(least, most), value| {
        (least.min(value), most.max(value))
    })
}

fn axes(
    svg: &mut String,
    (fastest, slowest): (f64, f64),
    largest: f64,
    x: impl Fn(f64) -> f64,
    y: impl Fn(f64) -> f64,
) {
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let _ = writeln!(
        svg,
        "<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"#333\"/>\
         <text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">seconds (ours: disc, theirs: ring)</text>\
         <text x=\"12\" y=\"{TOP}\">MB</text>",
        middle = f64::midpoint(LEFT, right),
        below = HEIGHT - 15.0,
    );
    for seconds in [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0,
    ] {
        if (fastest - 0.01..=slowest + 0.01).contains(&f64::log10(seconds)) {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{seconds}</text>",
                x(seconds),
                bottom + 18.0
            );
        }
    }
    for step in 0..=4 {
        let megabytes = largest * f64::from(step) / 4.0;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{megabytes:.0}</text>",
            LEFT - 8.0,
            y(megabytes) + 4.0
        );
    }
}

fn to_float(index: usize) -> f64 {
    f64::from(u32::try_from(index).expect("there are few"))
}
