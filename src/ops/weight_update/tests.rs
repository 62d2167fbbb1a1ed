use super::*;
use crate::backend::{Cpu, Matrix};
use crate::ops::clock::Tick;

fn wave(n: usize, f: f64) -> Vec<f64> {
    (0..n).map(|i| (f * (i + 1) as f64).sin()).collect()
}

/// Parameters and moments of some runs, one after the other.
#[derive(Clone, PartialEq, Debug)]
struct State<T> {
    parameters: Vec<T>,
    first: Vec<T>,
    second: Vec<T>,
}

/// A layer of some runs, each at a distance of one parameter more than it has.
#[derive(Clone, Copy)]
struct Case {
    runs: usize,
    rows: usize,
    inputs: usize,
    outputs: usize,
}

impl Case {
    /// Parameters; without inputs the layer is a bias alone.
    fn n(self) -> usize {
        self.outputs * (self.inputs + 1)
    }

    fn stride(self) -> usize {
        self.n() + 1
    }

    fn x(self) -> Vec<f64> {
        wave(self.runs * self.rows * self.inputs, 0.37)
    }

    fn dy(self) -> Vec<f64> {
        wave(self.runs * self.rows * self.outputs, 1.9)
    }

    fn start<T: Real>(self) -> State<T> {
        let of = |f: f64| wave(self.runs * self.stride(), f).into_iter();
        State {
            parameters: of(0.7).map(T::from_f64).collect(),
            first: of(1.3).map(|m| T::from_f64(m * 0.1)).collect(),
            second: of(2.3).map(|v| T::from_f64(v.abs() * 0.01)).collect(),
        }
    }

    /// `[dW | db]` of a run by its definition.
    fn gradient(self, run: usize) -> Vec<f64> {
        let (x, dy) = (self.x(), self.dy());
        let x = |i: usize, j: usize| x[(run * self.rows + i) * self.inputs + j];
        let dy = |i: usize, o: usize| dy[(run * self.rows + i) * self.outputs + o];
        let weight = |k: usize| (0..self.rows).map(|i| dy(i, k / self.inputs) * x(i, k % self.inputs)).sum();
        let bias = |o: usize| (0..self.rows).map(|i| dy(i, o)).sum();
        (0..self.outputs * self.inputs).map(weight).chain((0..self.outputs).map(bias)).collect()
    }

    fn layer<'a, T: Real>(self, x: &'a Vec<T>, dy: &'a Vec<T>) -> LayerGradient<'a, Cpu, T> {
        let stack = |values: &'a Vec<T>, cols| {
            Stack::at(&Cpu::single(), values, 0, self.rows * cols, [self.runs, self.rows, cols])
        };
        LayerGradient { x: (self.inputs > 0).then(|| stack(x, self.inputs)), dy: stack(dy, self.outputs) }
    }

    /// One step of each run on `backend`.
    fn step<T: Real>(self, backend: Cpu, config: AdamConfig, ticks: &[Tick], mut state: State<T>) -> State<T> {
        let real = |values: Vec<f64>| -> Vec<T> { values.into_iter().map(T::from_f64).collect() };
        let (x, dy) = (real(self.x()), real(self.dy()));
        let clock: Vec<u32> = ticks.iter().flat_map(|tick| tick.words()).collect();
        let stack = |values| StackMut::at(&backend, values, 0, self.stride(), [self.runs, 1, self.n()]);
        let rule = Rule::Adam(AdamStep {
            config,
            parameters: stack(&mut state.parameters),
            first: stack(&mut state.first),
            second: stack(&mut state.second),
        });
        let clock = Matrix::of(&backend, &clock, self.runs, CLOCK_WORDS);
        weight_update(&backend, clock, &self.layer(&x, &dy), rule).unwrap();
        state
    }

    /// The same by the formulas in f64.
    fn expected(self, config: AdamConfig, ticks: &[Tick], mut state: State<f64>) -> State<f64> {
        for (run, tick) in ticks.iter().enumerate().filter(|(_, tick)| tick.step > 0) {
            let t = tick.step as i32;
            for (i, g) in self.gradient(run).into_iter().enumerate() {
                let at = run * self.stride() + i;
                let (m, v) = (&mut state.first[at], &mut state.second[at]);
                *m = config.beta1 * *m + (1.0 - config.beta1) * g;
                *v = config.beta2 * *v + (1.0 - config.beta2) * g * g;
                let (m_hat, v_hat) = (*m / (1.0 - config.beta1.powi(t)), *v / (1.0 - config.beta2.powi(t)));
                state.parameters[at] -= config.learning_rate * m_hat / (v_hat.sqrt() + config.epsilon);
            }
        }
        state
    }
}

/// Tiles of every size, rests of each, a bias alone, a batch of one row and one without rows.
fn cases() -> impl Iterator<Item = Case> {
    let sizes = [(1, 1), (7, 3), (64, 65), (33, 130), (16, 48), (100, 9), (0, 37), (0, 200), (200, 1)];
    [0, 1, 5, 32]
        .into_iter()
        .flat_map(move |rows| sizes.map(|(inputs, outputs)| Case { runs: 2, rows, inputs, outputs }))
}

const CONFIG: AdamConfig = AdamConfig { learning_rate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

fn ticks(steps: [u32; 2]) -> Vec<Tick> {
    let tick = |step| if step == 0 { Tick::default() } else { CONFIG.tick(1, step, 1, 0) };
    steps.map(tick).to_vec()
}

/// Largest distance of two lists.
fn distance<T: Real>(found: &[T], expected: &[f64]) -> f64 {
    let each = found.iter().zip(expected).map(|(found, expected)| (found.to_f64() - expected).abs());
    each.fold(0.0, f64::max)
}

#[test]
fn the_gradient_follows_its_definition() {
    for case in cases() {
        for isa in crate::backend::Isa::available() {
            let backend = Cpu { threads: 1, isa };
            let narrow = |values: Vec<f64>| -> Vec<f32> { values.into_iter().map(|v| v as f32).collect() };
            let (x, dy) = (narrow(case.x()), narrow(case.dy()));
            let mut gradient = vec![9f32; case.runs * case.stride()];
            let clock: Vec<u32> = ticks([3, 1]).iter().flat_map(|tick| tick.words()).collect();
            let clock = Matrix::of(&backend, &clock, case.runs, CLOCK_WORDS);
            let target = StackMut::at(&backend, &mut gradient, 0, case.stride(), [case.runs, 1, case.n()]);
            weight_update(&backend, clock, &case.layer(&x, &dy), Rule::Gradient(target)).unwrap();
            for run in 0..case.runs {
                let found = &gradient[run * case.stride()..][..case.stride()];
                // 32 products below 1 in f32, operands rounded before: 32·3·2⁻²⁴ at most.
                assert!(distance(&found[..case.n()], &case.gradient(run)) < 6e-6);
                assert_eq!(found[case.n()], 9.0, "nothing is written between the runs");
            }
        }
    }
}

#[test]
fn steps_follow_the_formula_in_both_precisions() {
    for case in cases() {
        for threads in [1, 2] {
            let backend = Cpu::with_threads(threads);
            let (mut wide, mut expected) = (case.start::<f64>(), case.start::<f64>());
            for step in 1..=3 {
                wide = case.step(backend, CONFIG, &ticks([step, step + 6]), wide);
                expected = case.expected(CONFIG, &ticks([step, step + 6]), expected);
            }
            assert!(distance(&wide.parameters, &expected.parameters) < 1e-12);
            assert!(distance(&wide.first, &expected.first) < 1e-13 && distance(&wide.second, &expected.second) < 1e-13);
        }
        for isa in crate::backend::Isa::available() {
            let backend = Cpu { threads: 1, isa };
            let narrow = case.step(backend, CONFIG, &ticks([2, 900]), case.start::<f32>());
            let expected = case.expected(CONFIG, &ticks([2, 900]), case.start());
            // Moments: a few roundings at sizes of g ≤ 32 and g² ≤ 1024·10⁻³. The step itself is at most 3·rate, of which
            // it has the relative error of m/√v: that of the gradient, 10⁻⁵ where it is not close to 0.
            assert!(distance(&narrow.first, &expected.first) < 2e-6, "{isa}");
            assert!(distance(&narrow.second, &expected.second) < 2e-6, "{isa}");
            assert!(distance(&narrow.parameters, &expected.parameters) < 2e-5, "{isa}");
        }
    }
}

#[test]
fn a_run_that_idles_keeps_every_bit() {
    for case in cases() {
        let start = case.start::<f32>();
        let after = case.step(Cpu::single(), CONFIG, &ticks([0, 4]), start.clone());
        let split = case.stride();
        for (before, after) in
            [(&start.parameters, &after.parameters), (&start.first, &after.first), (&start.second, &after.second)]
        {
            assert_eq!(before[..split], after[..split]);
            assert_eq!(before[split + case.n()], after[split + case.n()], "nothing is written behind a run");
        }
        assert_ne!(start.parameters[split..], after.parameters[split..]);
    }
}

#[test]
fn a_moment_of_zero_moves_nothing() {
    let case = Case { runs: 1, rows: 0, inputs: 20, outputs: 5 };
    let zero = State { parameters: vec![1f32; 106], first: vec![0.0; 106], second: vec![0.0; 106] };
    for isa in crate::backend::Isa::available() {
        assert_eq!(case.step(Cpu { threads: 1, isa }, CONFIG, &[CONFIG.tick(0, 1, 1, 0)], zero.clone()), zero);
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let case = Case { runs: 1, rows: 32, inputs: 333, outputs: 515 };
    let step = |threads| {
        let backend = Cpu::with_threads(threads);
        case.step(backend, CONFIG, &[CONFIG.tick(0, 2, 32, 0)], case.start::<f32>())
    };
    assert_eq!(step(1), step(2));
}

#[test]
fn wrong_shapes_are_refused_by_name() {
    let backend = Cpu::single();
    let (x, dy, mut gradient) = (vec![0f32; 6], vec![0f32; 4], vec![0f32; 8]);
    let case = Case { runs: 1, rows: 2, inputs: 3, outputs: 2 };
    let clock = Tick::default().words().to_vec();
    let clock = Matrix::of(&backend, &clock, 1, CLOCK_WORDS);
    let short = StackMut::at(&backend, &mut gradient, 0, 7, [1, 1, 7]);
    let error = weight_update(&backend, clock, &case.layer(&x, &dy), Rule::Gradient(short)).unwrap_err();
    assert!(error.to_string().contains("weight_update: expected gradient [1, 1, 8], found [1, 1, 7]"), "{error}");
}
