//! Single instructions of a CUDA device: whether their operands lie as the kernels take them to lie. Numbers are small
//! integers, so that every product is exact.

use half::f16;

use super::Subject;
use super::bench::Bench;
use crate::backend::cuda::{Argument, CudaBuffer, CudaView, Grid, TensorCores};
use crate::backend::{Cuda, E4m3, Element, Memory};
use crate::error::Result;

/// A product of small integers, `[m, k]` by `[n, k]` turned, or by `[k, n]`.
struct Product {
    m: usize,
    n: usize,
    k: usize,
    transposed: bool,
}

impl Product {
    fn a(&self) -> Vec<i32> {
        (0..self.m * self.k).map(|i| (i * 7 % 17) as i32 - 8).collect()
    }
    fn b(&self) -> Vec<i32> {
        (0..self.n * self.k).map(|i| (i * 5 % 13) as i32 - 6).collect()
    }
    fn expected(&self) -> Vec<f32> {
        let (a, b) = (self.a(), self.b());
        let b_at = |j: usize, k: usize| if self.transposed { b[k * self.n + j] } else { b[j * self.k + k] };
        let dot = |i: usize, j: usize| (0..self.k).map(|k| a[i * self.k + k] * b_at(j, k)).sum::<i32>() as f32;
        (0..self.m).flat_map(|i| (0..self.n).map(move |j| (i, j))).map(|(i, j)| dot(i, j)).collect()
    }

    /// The complaint, if what `launch` makes of the operands on the device is not this.
    fn check<T: Element>(
        &self,
        cuda: &Cuda,
        number: impl Fn(i32) -> T,
        launch: impl FnOnce(CudaView<'_, T>, CudaView<'_, T>, &dyn Argument) -> Result<()>,
    ) -> Result<Option<String>> {
        let of = |integers: Vec<i32>| cuda.uploaded(&integers.into_iter().map(&number).collect::<Vec<T>>());
        let (a, b, mut d) = (of(self.a())?, of(self.b())?, cuda.uploaded(&vec![f32::NAN; self.m * self.n])?);
        launch(
            all(cuda, &a, self.m * self.k),
            all(cuda, &b, self.n * self.k),
            &cuda.view_mut(&mut d, 0..self.m * self.n),
        )?;
        let (mut found, expected) = (vec![0.0; self.m * self.n], self.expected());
        cuda.download(cuda.view(&d, 0..found.len()), &mut found)?;
        let wrong = found.iter().zip(&expected).position(|(found, expected)| found != expected);
        let told = |at: usize| {
            let [row, column] = [at / self.n, at % self.n];
            format!("row {row}, column {column}: {} for {}", found[at], expected[at])
        };
        Ok(wrong.map(told))
    }
}

fn all<'a, T: Element>(cuda: &Cuda, buffer: &'a CudaBuffer<T>, n: usize) -> CudaView<'a, T> {
    cuda.view(buffer, 0..n)
}

pub(super) fn check<B: Subject>(bench: &mut Bench<'_, B>) {
    let of_warps = [("instruction_mma", false), ("instruction_mma_transposed", true)];
    for (kernel, transposed) in of_warps {
        on_cuda(bench, kernel, move |cuda| {
            let product = Product { m: 16, n: 8, k: 16, transposed };
            product.check(
                cuda,
                |x| f16::from_f32(x as f32),
                |a, b, d| {
                    cuda.launch("instructions", kernel, Grid { blocks: [1, 1], threads: 32, shared: 768 }, &[&a, &b, d])
                },
            )
        });
    }
    if bench.device.cuda().is_none_or(|cuda| cuda.info().tensor_cores != TensorCores::Wgmma) {
        return;
    }
    for n in [64, 128, 256] {
        on_cuda(bench, &format!("instruction_wgmma_{n}"), move |cuda| {
            of_warpgroup(cuda, &format!("instruction_wgmma_{n}"), n, 64, |x| f16::from_f32(x as f32))
        });
        on_cuda(bench, &format!("instruction_wgmma_e4m3_{n}"), move |cuda| {
            of_warpgroup(cuda, &format!("instruction_wgmma_e4m3_{n}"), n, 128, |x| E4m3::rounded(x as f32))
        });
    }
    for n in [64, 128] {
        on_cuda(bench, &format!("instruction_wgmma_transposed_{n}"), move |cuda| transposed(cuda, n));
    }
    // Whole, over each edge of the matrix that is read, and over those of the matrix that is written.
    for [x, y, to_x, to_y] in [[0, 0, 0, 0], [-8, -3, 8, 5], [40, 30, 0, 0], [0, 0, 32, 25], [8, 1, -16, -7]] {
        on_cuda(bench, &format!("instruction_bulk from {x}, {y} to {to_x}, {to_y}"), move |cuda| {
            moved(cuda, [x, y], [to_x, to_y])
        });
    }
    on_cuda(bench, "instruction_multicast", given);
}

/// Runs on CUDA devices only: there is nothing like it on others.
fn on_cuda<B: Subject>(bench: &mut Bench<'_, B>, what: &str, work: impl FnOnce(&Cuda) -> Result<Option<String>>) {
    if bench.device.cuda().is_some() {
        bench.holds::<f16>("instruction", what, |device| device.cuda().map_or(Ok(None), work));
    }
}

fn grid(columns: usize) -> Grid {
    Grid { blocks: [1, 1], threads: 128, shared: (64 + columns) * 128 + 16 }
}

fn of_warpgroup<T: Element>(
    cuda: &Cuda,
    kernel: &str,
    n: usize,
    k: usize,
    number: impl Fn(i32) -> T,
) -> Result<Option<String>> {
    Product { m: 64, n, k, transposed: false }.check(cuda, number, |a, b, d| {
        let maps = [cuda.tensor_map(a, [64, k], 64)?, cuda.tensor_map(b, [n, k], n)?];
        cuda.launch("instructions_wgmma", kernel, grid(n), &[&maps[0], &maps[1], d])
    })
}

fn transposed(cuda: &Cuda, n: usize) -> Result<Option<String>> {
    Product { m: 64, n, k: 64, transposed: true }.check(
        cuda,
        |x| f16::from_f32(x as f32),
        |a, b, d| {
            let b = cuda.tensor_map(b, [64, n], 64)?;
            cuda.launch("instructions_wgmma", &format!("instruction_wgmma_transposed_{n}"), grid(n), &[&a, &b, d])
        },
    )
}

/// A box of 64 by 64 from one matrix of 70 rows of 72 to another.
fn moved(cuda: &Cuda, from: [i32; 2], to: [i32; 2]) -> Result<Option<String>> {
    const SIZE: [usize; 2] = [70, 72];
    let [rows, cols] = SIZE;
    let number = |i: usize| f16::from_f32((1 + i % 2000) as f32);
    let source: Vec<f16> = (0..rows * cols).map(number).collect();
    let before = vec![f16::from_f32(-1.0); rows * cols];
    let (a, b) = (cuda.uploaded(&source)?, cuda.uploaded(&before)?);
    let maps = [
        cuda.tensor_map(all(cuda, &a, source.len()), SIZE, 64)?,
        cuda.tensor_map(all(cuda, &b, source.len()), SIZE, 64)?,
    ];
    let [[x, y], [to_x, to_y]] = [&from, &to];
    cuda.launch("instructions_wgmma", "instruction_bulk", grid(64), &[&maps[0], &maps[1], x, y, to_x, to_y])?;
    let mut found = before.clone();
    cuda.download(all(cuda, &b, found.len()), &mut found)?;
    let at = |row: i32, column: i32| {
        let inside = (0..rows as i32).contains(&row) && (0..cols as i32).contains(&column);
        inside.then(|| row as usize * cols + column as usize)
    };
    let mut expected = before;
    for (r, c) in (0..64).flat_map(|r| (0..64).map(move |c| (r, c))) {
        if let Some(place) = at(to[1] + r, to[0] + c) {
            expected[place] = at(from[1] + r, from[0] + c).map_or(f16::ZERO, |place| source[place]);
        }
    }
    let wrong = found.iter().zip(&expected).position(|(found, expected)| found != expected);
    Ok(wrong.map(|i| format!("row {}, column {}: {} for {}", i / cols, i % cols, found[i], expected[i])))
}

/// Two boxes of 64 by 64, of which each of two blocks asks for one; both write both.
fn given(cuda: &Cuda) -> Result<Option<String>> {
    const BOX: usize = 64 * 64;
    let source: Vec<f16> = (0..2 * BOX).map(|i| f16::from_f32((i % 2047) as f32)).collect();
    let (a, b) = (cuda.uploaded(&source)?, cuda.uploaded(&vec![f16::NAN; 4 * BOX])?);
    let maps = [
        cuda.tensor_map(all(cuda, &a, 2 * BOX), [128, 64], 64)?,
        cuda.tensor_map(all(cuda, &b, 4 * BOX), [256, 64], 64)?,
    ];
    let pair = Grid { blocks: [2, 1], ..grid(64) };
    cuda.launch("instructions_wgmma", "instruction_multicast", pair, &[&maps[0], &maps[1]])?;
    let mut found = vec![f16::ZERO; 4 * BOX];
    cuda.download(all(cuda, &b, 4 * BOX), &mut found)?;
    let wrong = (0..4 * BOX).find(|&i| found[i] != source[i % (2 * BOX)]);
    Ok(wrong.map(|i| format!("block {}, row {}: {} for {}", i / 8192, i / 64 % 128, found[i], source[i % (2 * BOX)])))
}
