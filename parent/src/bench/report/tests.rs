//! Files of a report, of results that are made up.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::super::{BuiltIn, Burst, Machine, Missing, Request, Runtime, Sample, Series, Wave};
use super::*;

const COMMANDS: [&str; 8] =
    ["run", "create + start + delete", "create", "start", "state", "list", "kill", "delete"];

fn cost(milliseconds: u64) -> Cost {
    Cost { wall: Duration::from_millis(milliseconds), cpu: Duration::from_millis(milliseconds / 2) }
}

/// pinnace takes 1 to 100 ms, the other twice that. The other's name is one that no page should take for its own words.
fn results() -> Results {
    let other = String::from("<b>&\"x,y\"");
    let machine = Machine {
        kernel: String::from("6.18"),
        processors: 2,
        processor: String::new(),
        cgroups: String::from("v1"),
        state_on_tmpfs: true,
        begun: String::from("2026-11-24T13:00:00Z"),
        load_before: 1.0,
        load_after: 0.5,
    };
    let request = Request {
        against: vec![],
        options: vec![],
        bundle: Some(PathBuf::from("/a<b")),
        built_in: BuiltIn { config: String::new(), program: b"" },
        rounds: 100,
        warm_up: 5,
        workloads: vec![],
        rests: vec![0],
        idle: vec![10],
        parallel: vec![4],
        burst: None,
        watch: 2,
        machine,
    };
    let names = [String::from(OURS), other];
    let mut results = Results {
        request,
        runtimes: Vec::new(),
        series: Vec::new(),
        waves: Vec::new(),
        bursts: Vec::new(),
        missing: vec![Missing { what: "a".into(), runtime: "gone".into(), reason: "1 < 2".into() }],
        trace: None,
    };
    for (name, factor) in names.into_iter().zip([1, 2]) {
        let program = PathBuf::from("/p");
        results.runtimes.push(Runtime { name: name.clone(), program, version: "1 <2>".into(), bytes: 2048 });
        let costs: Vec<Cost> = (1..=100).map(|index| cost(index * factor)).collect();
        let conditions = [Condition { rest: 0, idle: None }, Condition { rest: 0, idle: Some(10) }];
        for (command, condition) in
            COMMANDS.iter().flat_map(|command| conditions.map(|condition| (command, condition)))
        {
            results.series.push(Series { runtime: name.clone(), command, condition, costs: costs.clone() });
        }
        let wave = Wave { runtime: name, at_once: 4, costs, elapsed: vec![Duration::from_secs(factor)] };
        let sample = |busy| Sample { at: Duration::from_secs(1), start: cost(4), busy };
        results.waves.push(wave.clone());
        results.bursts.push(Burst { wave, before: vec![cost(3)], after: vec![sample(0.5), sample(0.05)] });
    }
    results
}

fn file(name: &str) -> String {
    let files = files(&results());
    files.into_iter().find(|(other, _)| *other == name).unwrap().1
}

#[test]
fn medians_are_compared_with_ours() {
    let results = results();
    let all = groups(&results);
    assert_eq!(all[0].title(), "run, back to back");
    let [ours, its] = all[0].rows.as_slice() else { panic!() };
    assert_eq!((ours.wall.median, ours.wall.p99, ours.wall.minimum, ours.cpu), (50.0, 99.0, 1.0, 25.0));
    assert_eq!((ours.ratio, its.ratio), (Some(1.0), Some(0.5)));
    assert_eq!(results.bursts[0].quiet_after(), Some(1.0));
    assert_eq!(results.waves[1].per_second(), 50.0);
}

#[test]
fn without_ours_there_is_nothing_to_compare_with() {
    let mut results = results();
    results.series.retain(|series| series.runtime != OURS);
    assert_eq!(groups(&results)[0].rows[0].ratio, None);
    assert!(table(&results).contains(" -\n"));
}

#[test]
fn the_table_says_what_could_not_be_compared_and_that_the_machine_was_not_idle() {
    let table = table(&results());
    for part in [
        "NOT COMPARED: gone: a: 1 < 2\n",
        "Not idle: the load was 1.00.",
        "100 rounds after 5",
        "run, 4 at once",
    ] {
        assert!(table.contains(part), "{part} in {table}");
    }
}

#[test]
fn the_table_says_when_p99_is_nothing_but_the_slowest_round() {
    let mut results = results();
    assert!(!table(&results).contains("p99 is the slowest"));
    results.request.rounds = 99;
    assert!(table(&results).contains("99 rounds after 5 to warm up (so few that p99 is the slowest)"));
}

#[test]
fn json_has_every_measurement() {
    let json: Value = serde_json::from_str(&file("results.json")).unwrap();
    assert_eq!(json["series"].as_array().unwrap().len(), 4 * COMMANDS.len());
    assert_eq!(json["series"][0]["wallMs"].as_array().unwrap().len(), 100);
    assert_eq!(json["series"][0]["wallMs"][99], 100.0);
    assert_eq!(json["notCompared"][0]["reason"], "1 < 2");
    assert_eq!(json["bursts"][0]["after"][1]["busy"], 0.05);
}

#[test]
fn csv_has_as_many_fields_in_every_line_whatever_a_name_holds() {
    let text = file("results.csv");
    let plain = text.replace("\"<b>&\"\"x,y\"\"\"", "name");
    assert_ne!(plain, text);
    let fields: Vec<usize> = plain.lines().map(|line| line.split(',').count()).collect();
    assert_eq!(fields.len(), 1 + 4 * COMMANDS.len() + 4);
    assert!(fields.iter().all(|count| *count == 13), "{plain}");
    assert!(plain.contains("run,0,,,name,100,100.000,198.000,2.000,101.000,50.000,0.5000,\r\n"), "{plain}");
}

/// Every element is closed by its own end, and no text looks like markup. Gives the names of the elements.
#[track_caller]
fn well_formed(text: &str) -> Vec<&str> {
    const EMPTY: [&str; 3] = ["!DOCTYPE", "meta", "img"];
    let (mut open, mut names) = (Vec::new(), Vec::new());
    for part in text.split('<').skip(1) {
        let (tag, words) = part.split_once('>').unwrap_or_else(|| panic!("<{part}"));
        assert!(!words.contains('>'), "{words}");
        let name = tag.split([' ', '/']).find(|word| !word.is_empty()).unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else {
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            names.push(name);
            if !tag.ends_with('/') && !EMPTY.contains(&name) {
                open.push(name);
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
    names
}

#[test]
fn the_page_is_complete_in_itself_and_takes_names_for_text() {
    let page = file("index.html");
    let names = well_formed(&page);
    for absent in ["script", "link", "iframe", "object", "image"] {
        assert!(!names.contains(&absent), "{absent}");
    }
    // Names of a namespace and of a picture inside: no address that is loaded.
    let page = page.replace("http://www.w3.org/2000/svg", "");
    for absent in ["http:", "https:", "//", "@import", "url(", "<b>&\"x"] {
        assert!(!page.contains(absent), "{absent}");
    }
    assert!(page.contains("&lt;b&gt;&amp;&quot;x,y&quot;") && page.contains("/a&lt;b"));
    // Medians, a distribution for each command, phases, curves of four commands, two of many starts, two of a burst.
    assert_eq!(names.iter().filter(|name| **name == "svg").count(), 1 + COMMANDS.len() + 1 + 4 + 2 + 2);
}

#[test]
fn the_picture_is_one_document_with_its_own_looks() {
    let picture = file("summary.svg");
    let names = well_formed(&picture);
    assert_eq!(names[..3], ["svg", "style", "rect"]);
    assert!(picture.contains("run, back to back") && !picture.contains("idle"), "{picture}");
}
