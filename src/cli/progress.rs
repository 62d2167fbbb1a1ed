//! Progress on a terminal, in logs, as JSON, or not at all.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use biollmnet::progress::{Progress, Silent};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::context::ProgressKind;
use super::output::say;

/// The reporter for `kind`: `auto` is a bar on a terminal and plain lines elsewhere.
///
/// Notes are told where `verbose` asks for them.
pub fn choose(kind: ProgressKind, quiet: bool, verbose: bool) -> Arc<dyn Progress> {
    let shown: Box<dyn Progress> = match kind {
        _ if quiet => Box::new(Silent),
        ProgressKind::None => Box::new(Silent),
        ProgressKind::Json => Box::new(Lines::new(true, Duration::from_secs(1))),
        ProgressKind::Auto if std::io::stderr().is_terminal() => Box::new(Bar(Mutex::default())),
        ProgressKind::Auto | ProgressKind::Plain => Box::new(Lines::new(false, Duration::from_secs(30))),
    };
    if verbose { Arc::new(Noted(shown)) } else { Arc::from(shown) }
}

/// Tells notes, too.
struct Noted(Box<dyn Progress>);

impl Progress for Noted {
    fn begin(&self, what: &str, unit: &str, total: Option<u64>) {
        self.0.begin(what, unit, total);
    }
    fn advance(&self, n: u64) {
        self.0.advance(n);
    }
    fn finish(&self) {
        self.0.finish();
    }
    fn note(&self, line: &str) {
        say(line);
    }
}

struct Bar(Mutex<Option<ProgressBar>>);

impl Progress for Bar {
    fn begin(&self, what: &str, unit: &str, total: Option<u64>) {
        let template = match total {
            Some(_) => format!("{{msg}} {{wide_bar}} {{human_pos}}/{{human_len}} {unit} {{per_sec}} ETA {{eta}}"),
            None => format!("{{msg}} {{spinner}} {{human_pos}} {unit} {{per_sec}}"),
        };
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(10)).with_style(style);
        bar.set_message(what.to_owned());
        if let Ok(mut slot) = self.0.lock() {
            *slot = Some(bar);
        }
    }
    fn advance(&self, n: u64) {
        if let Ok(slot) = self.0.lock()
            && let Some(bar) = slot.as_ref()
        {
            bar.inc(n);
        }
    }
    fn finish(&self) {
        if let Ok(mut slot) = self.0.lock()
            && let Some(bar) = slot.take()
        {
            bar.finish_and_clear();
        }
    }
}

struct Phase {
    what: String,
    unit: String,
    total: Option<u64>,
    done: u64,
    started: Instant,
    spoken: Instant,
}

struct Lines {
    json: bool,
    interval: Duration,
    phase: Mutex<Option<Phase>>,
}

impl Lines {
    fn new(json: bool, interval: Duration) -> Self {
        Self { json, interval, phase: Mutex::new(None) }
    }

    fn speak(&self, phase: &Phase, finished: bool) {
        let seconds = phase.started.elapsed().as_secs_f64();
        let rate = phase.done as f64 / seconds.max(1e-9);
        if self.json {
            let line = serde_json::json!({
                "phase": phase.what, "unit": phase.unit, "done": phase.done, "total": phase.total,
                "seconds": seconds, "per_second": rate, "finished": finished,
            });
            say(line.to_string());
            return;
        }
        let total = phase.total.map_or(String::new(), |t| format!("/{t}"));
        let remaining = match phase.total {
            Some(t) if !finished && rate > 0.0 => {
                format!(", about {:.0} s to go", t.saturating_sub(phase.done) as f64 / rate)
            }
            _ => String::new(),
        };
        say(format!("{}: {}{total} {}, {rate:.1}/s{remaining}", phase.what, phase.done, phase.unit));
    }
}

impl Progress for Lines {
    fn begin(&self, what: &str, unit: &str, total: Option<u64>) {
        let now = Instant::now();
        let phase = Phase { what: what.to_owned(), unit: unit.to_owned(), total, done: 0, started: now, spoken: now };
        if let Ok(mut slot) = self.phase.lock() {
            *slot = Some(phase);
        }
    }
    fn advance(&self, n: u64) {
        if let Ok(mut slot) = self.phase.lock()
            && let Some(phase) = slot.as_mut()
        {
            phase.done += n;
            if phase.spoken.elapsed() >= self.interval {
                phase.spoken = Instant::now();
                self.speak(phase, false);
            }
        }
    }
    fn finish(&self) {
        if let Ok(mut slot) = self.phase.lock()
            && let Some(phase) = slot.take()
            // Short phases say nothing in a log; machines are always told the end.
            && (self.json || phase.started.elapsed() >= self.interval)
        {
            self.speak(&phase, true);
        }
    }
}
