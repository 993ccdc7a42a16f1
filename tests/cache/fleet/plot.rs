//! Draws how many images are there after how many seconds.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
/// Room for what stands beside the axes.
const LEFT: f64 = 60.0;
const BELOW: f64 = 40.0;
/// Fit for eyes that tell few colours apart.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// A line for each run: its name, and the seconds after which each image was there.
pub(super) fn svg(runs: &[(&str, &[f64])]) -> String {
    let longest = runs.iter().filter_map(|(_, seconds)| seconds.last());
    let longest = longest.fold(1.0_f64, |most, it| most.max(*it));
    let most = runs.iter().map(|(_, seconds)| seconds.len()).max();
    let most = most.unwrap_or(1).max(1) as f64;
    let x = |seconds: f64| LEFT + seconds / longest * (WIDTH - LEFT - 20.0);
    let y = |images: f64| HEIGHT - BELOW - images / most * (HEIGHT - BELOW - 20.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <path d=\"M {LEFT} 20 V {0} H {1}\" fill=\"none\" stroke=\"black\"/>\n",
        y(0.0),
        x(longest)
    );
    for part in 0..=4 {
        let part = f64::from(part) / 4.0;
        let (seconds, images) = (longest * part, most * part);
        let (across, up) = (x(seconds), y(images));
        writeln!(
            svg,
            "<text x=\"{across:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{seconds:.0} s</text>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{images:.0}</text>",
            HEIGHT - BELOW + 18.0,
            LEFT - 8.0,
            up + 4.0,
        )
        .unwrap();
    }
    for (number, ((name, seconds), colour)) in runs.iter().zip(COLOURS).enumerate() {
        let mut line = format!("M {:.1} {:.1}", x(0.0), y(0.0));
        for (image, seconds) in seconds.iter().enumerate() {
            write!(line, " L {:.1} {:.1}", x(*seconds), y((image + 1) as f64)).unwrap();
        }
        let at = HEIGHT - BELOW - 80.0 + 18.0 * number as f64;
        writeln!(
            svg,
            "<path d=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <text x=\"{:.1}\" y=\"{at:.1}\" text-anchor=\"end\" fill=\"{colour}\">{name}</text>",
            WIDTH - 24.0,
        )
        .unwrap();
    }
    svg.push_str("</svg>\n");
    svg
}
