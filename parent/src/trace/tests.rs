//! What is written is read again, and shown.

use super::*;

fn command() -> Command {
    let span = |lane, words: &str, begin, end, is_wait, step| Span {
        lane,
        words: words.to_owned(),
        begin,
        end,
        is_wait,
        step,
    };
    Command {
        what: String::from("run web"),
        process: 7,
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
        begin: 1_000_000,
        end: 3_000_000,
        spans: vec![
            span(Lane::Parent, "make <cgroups>", 1_100_000, 1_600_250, false, None),
            span(Lane::Stage1, "wait for the cgroups", 1_200_000, 1_700_000, true, None),
            span(Lane::Stage1, "mount proc on /proc", 1_150_000, 1_200_000, false, Some(0)),
        ],
    }
}

#[test]
fn a_file_of_several_commands_is_read_as_it_was_written() {
    let first = command();
    let second = Command { what: String::from("start web"), trace_id: None, ..command() };
    let text = format!("[\n{}{}", document::written(&first), document::written(&second));
    assert_eq!(read(&text).unwrap(), [first.clone(), second.clone()]);
    // Others close the list.
    assert_eq!(read(&format!("{}\n]\n", text.trim_end().trim_end_matches(','))).unwrap(), [first, second]);
    for other in ["", "[]", "{}", "[{\"ph\": \"X\"}]", "[\n"] {
        assert!(read(other).is_err(), "{other}");
    }
}

#[test]
fn trace_ids_are_those_of_well_formed_headers() {
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(document::trace_id(header).as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    for header in
        ["", "00-4bf9-00f067aa0ba902b7-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"]
    {
        assert_eq!(document::trace_id(header), None, "{header}");
    }
}

#[test]
fn a_table_has_a_line_for_each_span_as_they_began() {
    let expected = "run web: 2.000 ms, trace id 4bf92f3577b34da6a3ce929d0e0e4736
      BEGIN     TIME  WHO     STEP  WHAT
*     0.100    0.500  parent        make <cgroups>
*     0.150    0.050  stage1     0  mount proc on /proc
~     0.200    0.500  stage1        wait for the cgroups
";
    assert_eq!(table(&[command()]), expected);
}

#[test]
fn a_picture_names_every_span() {
    let picture = draw(&command());
    for part in ["make &lt;cgroups&gt;", "class=\"wait\"", "0  mount proc on /proc", "class=\"parent dear\""]
    {
        assert!(picture.contains(part), "{part}\n{picture}");
    }
    assert_eq!(picture.matches("<rect class").count(), 2 * command().spans.len());
}

#[test]
fn nothing_is_recorded_where_nobody_wants_to_know() {
    let trace = Trace::off();
    assert_eq!(trace.span("x", || 7), 7);
    trace.write().unwrap();
    assert!(!trace.is_on());
}
