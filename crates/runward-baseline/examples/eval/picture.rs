//! Promised against actual rates of alerts, as a picture.

use crate::promise::Promise;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 460.0;
const LEFT: f64 = 120.0;
const RIGHT: f64 = 40.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 60.0;

/// Rates at the ends of both axes; what is lower is drawn at the end.
const LOWEST: f64 = 0.000_1;
const HIGHEST: f64 = 0.1;

/// Promises are put together by how high they are: so many points.
const GROUPS: usize = 10;

/// Jobs of about the same promise, together.
struct Group {
    promised: f64,
    low: f64,
    high: f64,
    actual: f64,
    jobs: usize,
}

/// One point for each tenth of the promises, from those who were promised least to those who were promised most.
pub(crate) fn calibration(promises: &[&Promise]) -> String {
    let groups = groups(promises);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"Promised and actual rate of alerts, for {} jobs in {} groups\">\n<style>\n\
         text{{font:13px system-ui,sans-serif;fill:#333}} .axis{{stroke:#888}} .even{{stroke:#888;stroke-dasharray:5 4}}\n\
         .bound{{stroke:#7aa6d8;stroke-width:9;stroke-linecap:round;opacity:.55}} .actual{{fill:#b3261e}}\n\
         @media (prefers-color-scheme:dark){{text{{fill:#ddd}} .bound{{stroke:#5b86b8}} .actual{{fill:#ff8a80}}}}\n</style>\n",
        promises.len(),
        groups.len()
    );
    axes(&mut svg);
    for group in &groups {
        let x = across(group.promised);
        svg.push_str(&format!(
            "<line class=\"bound\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"><title>{} jobs: promised {} to \
             {}</title></line>\n<circle class=\"actual\" cx=\"{x:.1}\" cy=\"{:.1}\" r=\"5\"><title>actual {}</title></circle>\n",
            up(group.low),
            up(group.high),
            group.jobs,
            words(group.low),
            words(group.high),
            up(group.actual),
            words(group.actual),
        ));
    }
    svg.push_str(&format!(
        "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">alerts per run, promised</text>\n\
         <text x=\"16\" y=\"{:.0}\" text-anchor=\"middle\" transform=\"rotate(-90 16 {:.0})\">alerts per run: promised \
         bounds (bar), actual (dot)</text>\n</svg>\n",
        f64::midpoint(LEFT, WIDTH - RIGHT),
        HEIGHT - 14.0,
        f64::midpoint(TOP, HEIGHT - BOTTOM),
        f64::midpoint(TOP, HEIGHT - BOTTOM),
    ));
    svg
}

fn groups(promises: &[&Promise]) -> Vec<Group> {
    let mut sorted = promises.to_vec();
    sorted.sort_by(|a, b| a.rate.mean.total_cmp(&b.rate.mean));
    sorted
        .chunks(sorted.len().div_ceil(GROUPS).max(1))
        .map(|group| {
            let runs: f64 = group.iter().map(|promise| f64::from(promise.runs)).sum();
            let mean = |of: fn(&Promise) -> f64| {
                group
                    .iter()
                    .map(|promise| of(promise) * f64::from(promise.runs))
                    .sum::<f64>()
                    / runs
            };
            Group {
                promised: mean(|promise| promise.rate.mean),
                low: mean(|promise| promise.rate.low),
                high: mean(|promise| promise.rate.high),
                actual: mean(|promise| f64::from(promise.alerts) / f64::from(promise.runs)),
                jobs: group.len(),
            }
        })
        .collect()
}

fn axes(svg: &mut String) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    svg.push_str(&format!(
        "<path class=\"axis\" fill=\"none\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>\n\
         <line class=\"even\" x1=\"{LEFT}\" y1=\"{bottom}\" x2=\"{right}\" y2=\"{TOP}\"/>\n"
    ));
    for rate in [0.000_1, 0.001, 0.01, 0.1] {
        svg.push_str(&format!(
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>\n\
             <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\n",
            across(rate),
            bottom + 20.0,
            words(rate),
            LEFT - 8.0,
            up(rate) + 4.0,
            words(rate),
        ));
    }
}

/// `1 in 200`.
fn words(rate: f64) -> String {
    if rate < LOWEST {
        return "fewer than 1 in 10,000".to_owned();
    }
    match (1.0 / rate).round() as u64 {
        10_000 => "1 in 10,000".to_owned(),
        1_000 => "1 in 1,000".to_owned(),
        runs => format!("1 in {runs}"),
    }
}

/// From 0 to 1 along an axis.
fn along(rate: f64) -> f64 {
    (rate.clamp(LOWEST, HIGHEST) / LOWEST).ln() / (HIGHEST / LOWEST).ln()
}

fn across(rate: f64) -> f64 {
    LEFT + along(rate) * (WIDTH - RIGHT - LEFT)
}

fn up(rate: f64) -> f64 {
    HEIGHT - BOTTOM - along(rate) * (HEIGHT - BOTTOM - TOP)
}
