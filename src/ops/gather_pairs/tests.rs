use super::*;
use crate::backend::Cpu;
use crate::ops::clock::Tick;

/// Three partners of width 2, two RNAs of width 1, three pairs with a label; two runs and batches of two rows.
struct Case {
    label_scales: Vec<f32>,
    n_labels: Option<usize>,
    clock_rows: usize,
}

impl Case {
    fn run(&self) -> Result<[Vec<f32>; 3]> {
        let cpu = Cpu::single();
        let (partner, rna) = (vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], vec![10.0f32, 20.0]);
        let (pairs, labels) = (vec![0u32, 1, 2, 0, 1, 1], vec![2.0f32, f32::NAN, 8.0]);
        // The first run leaves the numbers as they are.
        let partner_scales = vec![0.0f32, 0.0, 1.0, 1.0, 1.0, 2.0, 0.5, 0.25];
        let rna_scales = vec![0.0f32, 1.0, 10.0, 0.1];
        let orders = vec![2u32, 0, 1, 9, 1, 2];
        let ticks = [Tick { n_rows: 2, ..Tick::default() }, Tick { n_rows: 1, first: 2, ..Tick::default() }];
        let clock: Vec<u32> = ticks.iter().flat_map(|tick| tick.words()).collect();
        let (mut a, mut b, mut y) = (vec![9f32; 8], vec![9f32; 4], vec![9f32; 4]);
        let tables = PairTables {
            partner: Matrix::of(&cpu, &partner, 3, 2),
            rna: Matrix::of(&cpu, &rna, 2, 1),
            pairs: Matrix::of(&cpu, &pairs, 3, 2),
            labels: self.n_labels.map(|n| Matrix::of(&cpu, &labels, 3, n)),
        };
        let scales = PairScales {
            partner: Stack::at(&cpu, &partner_scales, 0, 4, [2, 2, 2]),
            rna: Stack::at(&cpu, &rna_scales, 0, 2, [2, 2, 1]),
            label: Stack::at(&cpu, &self.label_scales, 0, 1, [2, 1, 1]),
        };
        let batch = PairBatch {
            partner: StackMut::at(&cpu, &mut a, 0, 4, [2, 2, 2]),
            rna: StackMut::at(&cpu, &mut b, 0, 2, [2, 2, 1]),
            labels: self.n_labels.map(|_| StackMut::at(&cpu, &mut y, 0, 2, [2, 2, 1])),
        };
        let orders = Matrix::of(&cpu, &orders, 2, 3);
        gather_pairs(&cpu, &tables, &scales, orders, Matrix::of(&cpu, &clock, self.clock_rows, CLOCK_WORDS), batch)?;
        Ok([a, b, y])
    }
}

#[test]
fn by_hand() {
    let case = Case { label_scales: vec![1.0, 4.0], n_labels: Some(1), clock_rows: 2 };
    let [partner, rna, labels] = case.run().unwrap();
    assert_eq!(partner, [3.0, 4.0, 1.0, 2.0, 1.0, 0.5, 0.0, 0.0]);
    assert_eq!(rna, [20.0, 20.0, 1.0, 0.0]);
    assert_eq!((labels[..3].to_vec(), labels[3].is_nan()), (vec![8.0, 2.0, 2.0], true));
    let [again, _, untouched] = Case { n_labels: None, ..case }.run().unwrap();
    assert_eq!((again, untouched), (partner, vec![9.0; 4]));
}

#[test]
fn a_clock_of_other_runs_is_refused() {
    let case = Case { label_scales: vec![1.0, 4.0], n_labels: Some(1), clock_rows: 1 };
    let error = case.run().unwrap_err();
    assert!(error.to_string().contains("gather_pairs: expected clock [2, 12], found [1, 12]"), "{error}");
}
