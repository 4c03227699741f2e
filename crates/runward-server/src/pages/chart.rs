//! Charts, made here as SVG: no script draws them, and each says in words what it shows.

use askama::Template;
use askama::filters::HtmlSafe;

use super::number::percent;

/// Height of a chart in its own units; a browser stretches it.
const HEIGHT: i64 = 100;
/// Width of a bar's place in the same units.
const PITCH: i64 = 10;

/// A value for a bar, and a part of it that is drawn stronger.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) whole: i64,
    pub(crate) part: i64,
    /// What the bar says when one points at it.
    pub(crate) said: String,
}

/// Bars next to each other.
#[derive(Clone, Debug, Template)]
#[template(path = "part/bars.html")]
pub(crate) struct Bars {
    /// What the chart shows, in words.
    label: String,
    /// The colour's name in the style sheet.
    tone: &'static str,
    width: i64,
    bars: Vec<Bar>,
}

/// The template escapes its texts.
impl HtmlSafe for Bars {}

#[derive(Clone, Debug)]
struct Bar {
    x: i64,
    y: i64,
    height: i64,
    part_y: i64,
    part_height: i64,
    said: String,
}

impl Bars {
    pub(crate) fn new(label: String, tone: &'static str, values: Vec<Value>) -> Bars {
        let top = values.iter().map(|v| v.whole).max().unwrap_or(0).max(1);
        let bars = values
            .into_iter()
            .zip(0..)
            .map(|(value, i): (Value, i64)| {
                let height = scaled(value.whole, top);
                let part_height = scaled(value.part, top).min(height);
                Bar {
                    x: i * PITCH + 1,
                    y: HEIGHT - height,
                    height,
                    part_y: HEIGHT - part_height,
                    part_height,
                    said: value.said,
                }
            })
            .collect::<Vec<_>>();
        let places = i64::try_from(bars.len()).unwrap_or(1).max(1);
        Bars {
            label,
            tone,
            width: places * PITCH,
            bars,
        }
    }
}

/// How high a value stands. What is not nothing can be seen.
fn scaled(value: i64, top: i64) -> i64 {
    if value <= 0 {
        return 0;
    }
    let scaled = i128::from(value) * i128::from(HEIGHT) / i128::from(top);
    i64::try_from(scaled).unwrap_or(HEIGHT).clamp(3, HEIGHT)
}

/// A part of a whole, as a line that is filled so far.
#[derive(Clone, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<svg class="meter {{ tone }}" role="img" aria-label="{{ label }}" width="100%" height="8"><rect class="rest" width="100%" height="8" rx="4"/>{% if filled > 0 %}<rect class="part" width="{{ filled }}%" height="8" rx="4"/>{% endif %}</svg>"#
)]
pub(crate) struct Meter {
    label: String,
    tone: &'static str,
    filled: i64,
}

/// The template above escapes its texts.
impl HtmlSafe for Meter {}

impl Meter {
    pub(crate) fn new(label: String, tone: &'static str, part: i64, whole: i64) -> Meter {
        Meter {
            label,
            tone,
            filled: percent(part, whole).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stay_inside_and_small_ones_are_seen() {
        let value = |whole, part| Value {
            whole,
            part,
            said: "<1>".to_owned(),
        };
        let bars = Bars::new(
            "Runs".to_owned(),
            "runs",
            vec![
                value(0, 0),
                value(1, 5),
                value(1000, 400),
                value(i64::MAX, -3),
            ],
        );
        assert!(
            bars.bars
                .iter()
                .all(|b| b.y >= 0 && b.y + b.height == HEIGHT)
        );
        assert!(bars.bars.iter().all(|b| b.part_height <= b.height));
        assert_eq!(
            bars.bars.iter().map(|b| b.height).collect::<Vec<_>>(),
            [0, 3, 3, 100]
        );
        assert!(!bars.to_string().contains("<1>"));
    }

    #[test]
    fn a_chart_of_nothing_is_a_chart() {
        assert!(
            Bars::new(String::new(), "runs", Vec::new())
                .to_string()
                .contains("<svg")
        );
        assert!(
            Meter::new(String::new(), "good", 0, 0)
                .to_string()
                .contains("<svg")
        );
    }
}
