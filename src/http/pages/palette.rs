//! Checks of the style sheet's colours: readable, and told apart, also by those who do not see red and green.

use std::collections::BTreeMap;

use crate::model::state::NodeWord;

const STYLE: &str = include_str!("../assets/style.css");

type Tokens = BTreeMap<String, String>;
type Rgb = [f64; 3];

/// The `--name: value` pairs of a block; `begin` is where to look for it.
fn tokens(begin: &str) -> Tokens {
    let block = STYLE.split(begin).nth(1).expect("the block is in the style sheet");
    let block = &block[..block.find('}').expect("the block ends")];
    let lines = block.lines().map(|line| line.split("/*").next().unwrap_or(line)).collect::<Vec<_>>().join("\n");
    let pairs = lines.split(';').filter_map(|pair| pair.trim().trim_start_matches('{').trim().split_once(':'));
    pairs
        .filter_map(|(name, value)| Some((name.trim().strip_prefix("--")?.to_owned(), value.trim().to_owned())))
        .collect()
}

fn light() -> Tokens {
    tokens(":root {\n  --bg:").into_iter().chain(first_light_line()).collect()
}

/// `--bg` itself was eaten by the search text.
fn first_light_line() -> Option<(String, String)> {
    let rest = STYLE.split(":root {\n  --bg:").nth(1)?;
    Some(("bg".to_owned(), rest[..rest.find(';')?].trim().to_owned()))
}

fn dark() -> Tokens {
    tokens(":root[data-theme=\"dark\"] {")
}

fn dark_of_the_system() -> Tokens {
    tokens(":root:not([data-theme=\"light\"]) {")
}

fn rgb(tokens: &Tokens, name: &str) -> Rgb {
    let text = tokens.get(name).unwrap_or_else(|| panic!("--{name} is missing"));
    let digits = text.strip_prefix('#').unwrap_or_else(|| panic!("--{name} is {text}"));
    [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&digits[at..at + 2], 16).expect("hex digits")) / 255.0)
}

fn linear(colour: Rgb) -> Rgb {
    colour.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) })
}

/// Contrast by WCAG 2.
fn contrast(a: Rgb, b: Rgb) -> f64 {
    let luminance = |colour| {
        let [r, g, b] = linear(colour);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// As seen without the green cones (Viénot, Brettel, Mollon 1999), in linear light.
fn deuteranopia([r, g, b]: Rgb) -> Rgb {
    let red_green = 0.29275 * r + 0.70725 * g;
    [red_green, red_green, -0.02234 * r + 0.02234 * g + b].map(|c: f64| c.clamp(0.0, 1.0))
}

fn lab([r, g, b]: Rgb) -> Rgb {
    let x = (0.412_456 * r + 0.357_576 * g + 0.180_437 * b) / 0.950_47;
    let y = 0.212_673 * r + 0.715_152 * g + 0.072_175 * b;
    let z = (0.019_334 * r + 0.119_192 * g + 0.950_304 * b) / 1.088_83;
    let f = |t: f64| if t > 216.0 / 24_389.0 { t.cbrt() } else { (24_389.0 / 27.0 * t + 16.0) / 116.0 };
    [116.0 * f(y) - 16.0, 500.0 * (f(x) - f(y)), 200.0 * (f(y) - f(z))]
}

/// CIEDE2000, after Sharma, Wu, Dalal 2005.
fn delta_e([l1, a1, b1]: Rgb, [l2, a2, b2]: Rgb) -> f64 {
    let seventh = |c: f64| (c.powi(7) / (c.powi(7) + 25_f64.powi(7))).sqrt();
    let mean_c = (a1.hypot(b1) + a2.hypot(b2)) / 2.0;
    let g = 0.5 * (1.0 - seventh(mean_c));
    let (a1, a2) = (a1 * (1.0 + g), a2 * (1.0 + g));
    let (c1, c2) = (a1.hypot(b1), a2.hypot(b2));
    let hue = |a: f64, b: f64| if a == 0.0 && b == 0.0 { 0.0 } else { b.atan2(a).to_degrees().rem_euclid(360.0) };
    let (h1, h2) = (hue(a1, b1), hue(a2, b2));
    let is_grey = c1 * c2 == 0.0;
    let mut dh = if is_grey { 0.0 } else { h2 - h1 };
    if dh > 180.0 {
        dh -= 360.0;
    } else if dh < -180.0 {
        dh += 360.0;
    }
    let big_dh = 2.0 * (c1 * c2).sqrt() * (dh / 2.0).to_radians().sin();
    let mean_l = (l1 + l2) / 2.0;
    let mean_c = (c1 + c2) / 2.0;
    let mean_h = match (is_grey, (h1 - h2).abs() > 180.0, h1 + h2 < 360.0) {
        (true, ..) => h1 + h2,
        (false, false, _) => (h1 + h2) / 2.0,
        (false, true, true) => (h1 + h2 + 360.0) / 2.0,
        (false, true, false) => (h1 + h2 - 360.0) / 2.0,
    };
    let cos = |degrees: f64| degrees.to_radians().cos();
    let t = 1.0 - 0.17 * cos(mean_h - 30.0) + 0.24 * cos(2.0 * mean_h) + 0.32 * cos(3.0 * mean_h + 6.0)
        - 0.20 * cos(4.0 * mean_h - 63.0);
    let sl = 1.0 + 0.015 * (mean_l - 50.0).powi(2) / (20.0 + (mean_l - 50.0).powi(2)).sqrt();
    let sc = 1.0 + 0.045 * mean_c;
    let sh = 1.0 + 0.015 * mean_c * t;
    let turn = 30.0 * (-((mean_h - 275.0) / 25.0).powi(2)).exp();
    let rt = -(2.0 * turn).to_radians().sin() * 2.0 * seventh(mean_c);
    let (dl, dc, dh) = ((l2 - l1) / sl, (c2 - c1) / sc, big_dh / sh);
    (dl * dl + dc * dc + dh * dh + rt * dc * dh).sqrt()
}

#[test]
fn the_colour_difference_agrees_with_published_pairs() {
    for (a, b, expected) in [
        ([50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485], 2.0425),
        ([50.0, 2.5, 0.0], [73.0, 25.0, -18.0], 27.1492),
        ([22.7233, 20.0904, -46.6940], [23.0331, 14.9730, -42.5619], 2.0373),
        ([50.0, -1.0, 2.0], [50.0, 0.0, 0.0], 2.3669),
    ] {
        assert!((delta_e(a, b) - expected).abs() < 0.0001, "{a:?} {b:?}: {}", delta_e(a, b));
    }
}

#[test]
fn the_two_dark_blocks_are_equal() {
    assert_eq!(dark(), dark_of_the_system());
    let names = |tokens: &Tokens| tokens.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&light()), names(&dark()));
}

#[test]
fn words_are_readable_on_every_surface_and_on_every_state() {
    for (theme, tokens) in [("light", light()), ("dark", dark())] {
        let surfaces = ["bg", "surface", "sunken", "hover", "sel"];
        for word in ["text", "muted", "link"] {
            for surface in surfaces {
                let ratio = contrast(rgb(&tokens, word), rgb(&tokens, surface));
                assert!(ratio >= 4.5, "{theme}: {word} on {surface} has {ratio:.2}");
            }
        }
        for state in NodeWord::ALL {
            let name = format!("st-{state}");
            let on = contrast(rgb(&tokens, &name), rgb(&tokens, &format!("{name}-on")));
            assert!(on >= 4.5, "{theme}: text on {name} has {on:.2}");
            for surface in ["surface", "bg"] {
                let ink = contrast(rgb(&tokens, &format!("{name}-ink")), rgb(&tokens, surface));
                assert!(ink >= 4.5, "{theme}: {name}-ink on {surface} has {ink:.2}");
            }
        }
        for word in ["log-fg", "log-dim", "a-red", "a-green", "a-yellow", "a-blue", "a-magenta", "a-cyan"] {
            let ratio = contrast(rgb(&tokens, word), rgb(&tokens, "log-bg"));
            assert!(ratio >= 4.5, "{theme}: {word} in a log has {ratio:.2}");
        }
    }
}

#[test]
fn any_two_states_differ_also_without_red_and_green() {
    for (theme, tokens) in [("light", light()), ("dark", dark())] {
        for (at, a) in NodeWord::ALL.iter().enumerate() {
            for b in &NodeWord::ALL[at + 1..] {
                let colour = |state: &NodeWord| linear(rgb(&tokens, &format!("st-{state}")));
                let seen = delta_e(lab(colour(a)), lab(colour(b)));
                assert!(seen >= 10.0, "{theme}: {a} and {b} differ by {seen:.1}");
                let without = delta_e(lab(deuteranopia(colour(a))), lab(deuteranopia(colour(b))));
                assert!(without >= 10.0, "{theme}: {a} and {b} differ by {without:.1} without green");
            }
        }
    }
}
