//! Results for programs.

use serde_json::{Map, Value};

use super::super::statistics::Figures;
use super::super::{Burst, Missing, Runtime, Sample, Series, Wave};
use super::{Cost, Results, groups, wall};

/// Every measurement, and how it was made. Times are milliseconds, in names that end so.
pub(super) fn json(results: &Results) -> String {
    let request = &results.request;
    let machine = &request.machine;
    let machine = object(&[
        ("kernel", machine.kernel.as_str().into()),
        ("processors", machine.processors.into()),
        ("processor", machine.processor.as_str().into()),
        ("cgroups", machine.cgroups.as_str().into()),
        ("stateOnTmpfs", machine.state_on_tmpfs.into()),
        ("begun", machine.begun.as_str().into()),
        ("loadBefore", machine.load_before.into()),
        ("loadAfter", machine.load_after.into()),
    ]);
    let settings = object(&[
        ("rounds", request.rounds.into()),
        ("warmUp", request.warm_up.into()),
        ("options", request.options.iter().map(String::as_str).collect()),
        ("bundle", request.bundle.as_ref().map(|bundle| bundle.to_string_lossy()).into()),
    ]);
    let text = object(&[
        ("schema", 1.into()),
        ("machine", machine),
        ("settings", settings),
        ("runtimes", results.runtimes.iter().map(runtime).collect()),
        ("notCompared", results.missing.iter().map(missing).collect()),
        ("series", results.series.iter().map(series).collect()),
        ("parallel", results.waves.iter().map(|wave| object(&wave_fields(wave))).collect()),
        ("bursts", results.bursts.iter().map(burst).collect()),
    ]);
    format!("{text}\n")
}

fn runtime(runtime: &Runtime) -> Value {
    object(&[
        ("name", runtime.name.as_str().into()),
        ("program", runtime.program.to_string_lossy().into()),
        ("version", runtime.version.as_str().into()),
        ("bytes", runtime.bytes.into()),
    ])
}

fn missing(missing: &Missing) -> Value {
    object(&[
        ("what", missing.what.as_str().into()),
        ("runtime", missing.runtime.as_str().into()),
        ("reason", missing.reason.as_str().into()),
    ])
}

fn series(series: &Series) -> Value {
    object(&[
        ("command", series.command.into()),
        ("runtime", series.runtime.as_str().into()),
        ("restMs", series.condition.rest.into()),
        ("idle", series.condition.idle.into()),
        ("wallMs", rounded(&series.costs, |cost| cost.wall)),
        ("cpuMs", rounded(&series.costs, |cost| cost.cpu)),
    ])
}

fn wave_fields(wave: &Wave) -> [(&'static str, Value); 4] {
    [
        ("atOnce", wave.at_once.into()),
        ("runtime", wave.runtime.as_str().into()),
        ("perSecond", wave.per_second().into()),
        ("wallMs", rounded(&wave.costs, |cost| cost.wall)),
    ]
}

fn burst(burst: &Burst) -> Value {
    let second = |sample: &Sample| {
        object(&[
            ("second", sample.at.as_secs_f64().into()),
            ("wallMs", milliseconds(sample.start.wall).into()),
            ("busy", sample.busy.into()),
        ])
    };
    let [at_once, runtime, per_second, wall] = wave_fields(&burst.wave);
    object(&[
        at_once,
        runtime,
        per_second,
        wall,
        ("beforeMs", rounded(&burst.before, |cost| cost.wall)),
        ("after", burst.after.iter().map(second).collect()),
        ("quietAfterSeconds", burst.quiet_after().into()),
    ])
}

fn object(fields: &[(&str, Value)]) -> Value {
    let mut object = Map::new();
    for (name, value) in fields {
        object.insert((*name).to_owned(), value.clone());
    }
    Value::Object(object)
}

fn rounded(costs: &[Cost], of: fn(&Cost) -> std::time::Duration) -> Value {
    costs.iter().map(|cost| milliseconds(of(cost))).collect()
}

/// To the microsecond.
fn milliseconds(time: std::time::Duration) -> f64 {
    time.as_micros() as f64 / 1e3
}

const COLUMNS: &str = "command,rest_ms,idle,at_once,runtime,rounds,median_ms,p99_ms,min_ms,mean_ms,cpu_median_ms,pinnace_ratio,per_second";

/// A line for each row of the tables (RFC 4180).
pub(super) fn csv(results: &Results) -> String {
    let mut lines = vec![COLUMNS.to_owned()];
    for group in groups(results) {
        let idle = group.condition.idle.map(|count| count.to_string()).unwrap_or_default();
        for row in &group.rows {
            let ratio = row.ratio.map(|ratio| format!("{ratio:.4}")).unwrap_or_default();
            lines.push(format!(
                "{},{},{idle},,{},{},{},{:.3},{ratio},",
                group.command,
                group.condition.rest,
                quoted(row.runtime),
                row.values.len(),
                figures(row.wall),
                row.cpu
            ));
        }
    }
    let bursts = results.bursts.iter().map(|burst| ("burst", &burst.wave));
    for (name, wave) in results.waves.iter().map(|wave| ("run", wave)).chain(bursts) {
        let Some(of_all) = Figures::of(&wall(&wave.costs)) else { continue };
        lines.push(format!(
            "{name},0,,{},{},{},{},,,{:.2}",
            wave.at_once,
            quoted(&wave.runtime),
            wave.costs.len(),
            figures(of_all),
            wave.per_second()
        ));
    }
    lines.iter().map(|line| format!("{line}\r\n")).collect()
}

fn figures(figures: Figures) -> String {
    format!("{:.3},{:.3},{:.3},{:.3}", figures.median, figures.p99, figures.minimum, figures.mean)
}

/// A field that may hold anything.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
