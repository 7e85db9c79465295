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
        error: None,
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
    let both = (vec![first, second], 0);
    assert_eq!(read(&text).unwrap(), both);
    // Others close the list.
    assert_eq!(read(&format!("{}\n]\n", text.trim_end().trim_end_matches(','))).unwrap(), both);
    for other in ["", "[]", "{}", "[{\"ph\": \"X\"}]", "[\n"] {
        assert!(read(other).is_err(), "{other}");
    }
}

#[test]
fn a_command_that_failed_says_why() {
    let failed = Command { error: Some(String::from("step 3, <mount>: no")), ..command() };
    let (commands, _) = read(&format!("[\n{}", document::written(&failed))).unwrap();
    assert_eq!(commands, [failed]);
    assert!(table(&commands).starts_with(
        "run web: 2.000 ms, trace id 4bf92f3577b34da6a3ce929d0e0e4736, failed: step 3, <mount>: no\n"
    ));
    assert!(draw(&commands[0]).contains("failed: step 3, &lt;mount&gt;: no;"));
}

#[test]
fn what_is_torn_is_left_out_and_the_rest_is_read() {
    let (first, second) = (command(), Command { process: 8, ..command() });
    let (one, two) = (document::written(&first), document::written(&second));
    // In the middle of the command's own event: its spans belong to nobody.
    let whole = one.find("\"command\"").unwrap();
    assert!(read(&format!("[\n{}\n", &one[..whole])).is_err());
    let (commands, unread) = read(&format!("[\n{}\n{two}", &one[..whole])).unwrap();
    assert_eq!((commands, unread), (vec![second.clone()], 1));
    // In its last event.
    let (commands, unread) = read(&format!("[\n{}\n{two}", &one[..one.len() - 9])).unwrap();
    let rest = Command { spans: first.spans[..2].to_vec(), ..first.clone() };
    assert_eq!((commands, unread), (vec![rest, second.clone()], 1));
    // A list that was closed, and appended to.
    let text = format!("[\n{}]\n{two}", one.trim_end().trim_end_matches(','));
    assert_eq!(read(&text).unwrap(), (vec![first, second], 0));
}

#[test]
fn times_that_no_clock_shows_are_left_out() {
    let event = |times: &str| {
        format!("[{{\"name\":\"x\",\"cat\":\"command\",\"ph\":\"X\",\"pid\":1,\"tid\":1,{times}}}]")
    };
    for times in ["\"ts\":0,\"dur\":1.9e16", "\"ts\":1e300,\"dur\":1", "\"ts\":-1,\"dur\":1", "\"ts\":0"] {
        assert!(read(&event(times)).is_err(), "{times}");
    }
    let (commands, _) = read(&event("\"ts\":1e15,\"dur\":1e15")).unwrap();
    assert!(draw(&commands[0]).len() < 10_000);
}

#[test]
fn trace_ids_are_those_of_well_formed_headers() {
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(document::trace_id(header).as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    assert!(document::trace_id(&format!("01-{id}-00f067aa0ba902b7-01-more")).is_some());
    for header in [
        String::new(),
        String::from("00-4bf9-00f067aa0ba902b7-01"),
        String::from("00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
        format!("ff-{id}-00f067aa0ba902b7-01"),
        format!("00-{id}-0000000000000000-01"),
        format!("00-{id}-00f067aa0ba902b7"),
        format!("00-{id}-00f067aa0ba902b7-01-more"),
        format!("00-{id}-00f067aa0ba902b7-1"),
    ] {
        assert_eq!(document::trace_id(&header), None, "{header}");
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
