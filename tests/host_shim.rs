//! The host shim and the stand-in driver prove their own detections: wrong kernels must be seen to be wrong.

#[path = "support/standin.rs"]
mod standin;

use std::process::Output;

/// The kernels of a program of the self-check.
fn kernels(main: &str) -> &'static str {
    if main == "hopper" { "kernels/host/selfcheck/hopper.cu" } else { "kernels/host/selfcheck/kernels.cu" }
}

/// Runs a program of the self-check with settings; none where the shim cannot be built.
fn run(main: &str, argument: &str, settings: &[(&str, &str)]) -> Option<(String, String, Output)> {
    let program = standin::program(&format!("kernels/host/selfcheck/{main}.cc"), kernels(main))?;
    let names = settings.iter().map(|(name, value)| (format!("BIOLLMNET_STANDIN_{name}"), *value));
    let output = std::process::Command::new(program).arg(argument).envs(names).output().expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((text(&output.stdout), text(&output.stderr), output))
}

/// Every case in both modes of copies and several orders of warps.
fn shim(case: &str, early: &str, late: &str, complaint: &str) {
    every_mode("shim", case, early, late, complaint);
}

fn every_mode(main: &str, case: &str, early: &str, late: &str, complaint: &str) {
    for (mode, verdict) in [("early", early), ("late", late)] {
        for seed in ["0", "1", "2", "3"] {
            let Some((printed, complaints, _)) = run(main, case, &[("COPY", mode), ("SEED", seed)]) else { return };
            assert_eq!(printed.trim(), verdict, "{case}, copies {mode}, seed {seed}\n{complaints}");
            assert!(complaints.contains(complaint), "{case}: {complaints}");
        }
    }
}

#[test]
fn right_kernels_are_right() {
    for case in ["barrier", "half-returns", "wait", "shared-inside", "struct", "product", "numbers", "halves"] {
        shim(case, "right", "right", "");
    }
}

#[test]
fn missing_synchronisation_shows() {
    shim("missing-barrier", "NaN", "NaN", "");
    shim("missing-wait", "right", "NaN", "");
    shim("fresh-shared", "NaN", "NaN", "");
}

#[test]
fn broken_kernels_are_reported() {
    for (case, error, complaint) in [
        ("divergent", "error 719", "divergence: rt_sync_warp here, but lanes 0000ffff are in rt_shuffle"),
        ("deadlock", "error 719", "lanes 0000ffff in rt_shuffle, ffff0000 in __syncthreads"),
        ("absent-lanes", "error 719", "returned while lanes 0000ffff wait in rt_shuffle"),
        ("stack", "error 719", "overflow_stack: block (0,0,0) thread"),
        ("misaligned-copy", "error 716", "is not 16-byte aligned"),
        ("misaligned-load", "error 716", "misaligned"),
        ("shared-past-end", "error 700", "1024 bytes from the start of 1024 bytes of shared memory"),
        ("shared-slack", "error 700", "shared memory was written past its 1000 bytes"),
        ("too-many-threads", "error 1", "more threads than RT_KERNEL allows"),
        ("too-much-shared", "error 1", "more than 227 KiB"),
        ("too-few-arguments", "error 1", ""),
    ] {
        shim(case, error, error, complaint);
    }
}

/// Boxes of matrices and products of warpgroups, early and late.
#[test]
fn the_units_of_hopper_see_what_is_wrong() {
    for case in ["box", "multiplied", "met", "maps", "shared_out"] {
        every_mode("hopper", case, "right", "right", "");
    }
    for (case, early, late, complaint) in [
        ("box_without_fence", "error 719", "error 719", "without rt_mbarrier_fence"),
        ("box_of_too_few_bytes", "error 719", "error 719", "deadlock"),
        ("box_of_too_many_bytes", "error 719", "error 719", "deadlock"),
        ("box_without_wait", "right", "error 719", ""),
        ("box_with_wrong_parity", "error 719", "error 719", ""),
        ("box_not_stored", "error 719", "error 719", "bulk stores that nobody waited for"),
        ("box_written_unseen", "error 719", "error 719", "wrote without rt_fence_async"),
        ("box_misplaced", "error 716", "error 716", "address 1152 of shared memory"),
        ("multiplied_unfenced", "error 719", "error 719", "no rt_wgmma_fence"),
        ("multiplied_written_early", "error 719", "error 719", "sums were written before rt_wgmma_wait"),
        ("multiplied_by_others", "error 719", "error 719", "issue different products"),
        ("met_by_too_few", "error 719", "error 719", "deadlock"),
        ("shared_out_before_they_met", "error 719", "error 719", "without rt_mbarrier_fence"),
        ("shared_out_and_returned", "error 700", "error 700", "of the cluster, which has returned"),
        ("shared_out_to_nobody", "error 700", "error 700", "a bulk copy to block 2 of a cluster of 2"),
        ("shared_out_to_one", "error 719", "error 719", "deadlock"),
        ("odd_grid", "error 1", "error 1", "no multiple of the kernel's clusters"),
    ] {
        every_mode("hopper", case, early, late, complaint);
    }
    every_mode("hopper", "multiplied_left_under_way", "wrong", "error 719", "");
}

/// Every group of rules of the driver.
#[test]
fn the_driver_keeps_its_rules() {
    for (group, settings) in [
        ("memory", &[("MEMORY", "1000000")][..]),
        ("failing", &[("FAIL_ALLOC", "2")]),
        ("launches", &[]),
        ("capture", &[]),
        ("late", &[]),
    ] {
        let Some((printed, complaints, output)) = run("driver", group, settings) else { return };
        assert!(output.status.success(), "{group}:\n{printed}{complaints}");
    }
}

#[test]
fn a_process_can_load_the_stand_in() {
    let Some(standin) = standin::load() else { return };
    standin.configure(true, 1, false);
    standin.fail_alloc_at(0, false);
    standin.reset();
    assert_eq!(standin.counters().live_allocations, 0);
}

#[test]
fn a_command_finds_the_stand_in() {
    let Some(command) = standin::command("true") else { return };
    let path = command.get_envs().find(|(name, _)| *name == "LD_LIBRARY_PATH").and_then(|(_, value)| value).unwrap();
    let first = std::env::split_paths(path).next().unwrap();
    assert!(first.join("libcuda.so").exists());
}
