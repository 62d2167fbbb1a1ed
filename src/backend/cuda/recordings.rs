//! Launches that were recorded as a graph: a short batch is hundreds of kernels of a few microseconds each, and launching
//! them one by one takes longer than running them.

use std::collections::HashMap;

use cudarc::driver::CudaGraph;
use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};

use super::Cuda;
use crate::error::Result;

/// Graphs that are kept; then all are forgotten, and those in use are recorded again.
const MOST: usize = 64;

/// Graphs by the key of their work.
#[derive(Default)]
pub struct Recordings(HashMap<Vec<usize>, Option<Graph>>);

struct Graph(CudaGraph);

// SAFETY: a graph is launched through an exclusive reference only, by one thread at a time, which the driver allows.
#[allow(unsafe_code)]
unsafe impl Send for Graph {}
// SAFETY: as for Send: a shared reference gives no access to the graph.
#[allow(unsafe_code)]
unsafe impl Sync for Graph {}

impl Recordings {
    /// Work that comes for the first time is done, so that its kernels are loaded; the second time it is recorded; from
    /// then on the recording is launched.
    pub(super) fn replay(&mut self, cuda: &Cuda, key: &[usize], work: impl FnOnce() -> Result<()>) -> Result<()> {
        let fault = |error| cuda.fault("recording launches", error);
        match self.0.get(key) {
            None => {
                work()?;
                if self.0.len() >= MOST {
                    self.0.clear();
                }
                self.0.insert(key.to_vec(), None);
            }
            Some(None) => {
                let stream = &cuda.0.stream;
                let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
                stream.begin_capture(mode).map_err(fault)?;
                let recorded = work();
                // Also after an error: the stream must leave the capture.
                let graph = stream.end_capture(CUgraphInstantiate_flags(0));
                recorded?;
                if let Some(graph) = graph.map_err(fault)? {
                    graph.launch().map_err(fault)?;
                    self.0.insert(key.to_vec(), Some(Graph(graph)));
                }
            }
            Some(Some(Graph(graph))) => graph.launch().map_err(fault)?,
        }
        Ok(())
    }
}
