//! Other libraries with the same caches, if they are installed. Each runs in a separate process,
//! `peer.py` or `peer.mjs`, which prints its measurements.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use msal_cache::TokenCache;
use serde_json::Value;

use crate::memory::fill;
use crate::report::{Peer, Report};
use crate::workload;

pub(crate) fn measure(report: &mut Report, max: usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".peers/venv/bin/python");
    let node = root.join(".peers/node/node_modules/@azure/msal-node");
    let peers: [(&str, PathBuf, &str, bool); 2] = [
        ("MSAL Python", python.clone(), "peer.py", python.exists()),
        ("MSAL Node", "node".into(), "peer.mjs", node.exists()),
    ];
    for (name, program, script, installed) in peers {
        if !installed {
            report.note(format!("{name} is not installed in `.peers` and was not measured."));
            continue;
        }
        let mut peer = Peer::new();
        for tokens in [10, 1_000, 10_000, 100_000].into_iter().filter(|it| *it <= max) {
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            write(folder.path(), tokens);
            let mut command = Command::new(&program);
            if script.ends_with("mjs") {
                command.arg("--max-old-space-size=8192");
            }
            command.arg(root.join("tests/bench").join(script)).arg(folder.path());
            command.env("NODE_ROOT", root.join(".peers/node"));
            let output = command.output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name} failed: {stderr}");
            for line in String::from_utf8(output.stdout).unwrap().lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                let text = |name: &str| line[name].as_str().unwrap().to_owned();
                peer.insert(
                    (text("store"), text("operation"), tokens),
                    line["ns"].as_f64().unwrap(),
                );
            }
        }
        report.peers.push((name, peer));
    }
}

fn write(folder: &Path, tokens: usize) {
    let cache = TokenCache::in_memory();
    fill(&cache, workload::sign_ins(tokens));
    std::fs::write(folder.join("cache.json"), cache.serialize().unwrap()).unwrap();
    let mut probes = std::fs::File::create(folder.join("probes.jsonl")).unwrap();
    for probe in workload::probes(tokens) {
        writeln!(probes, "{}", probe.json()).unwrap();
    }
}
