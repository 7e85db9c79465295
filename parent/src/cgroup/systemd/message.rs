//! D-Bus messages: what a call is made of, and as much of an answer as is looked at. Little endian, as every host of ours is.
//!
//! Source: <https://dbus.freedesktop.org/doc/dbus-specification.html>, "Marshaling" and "Message Protocol".

/// A value with its type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Byte(u8),
    Bool(bool),
    I16(i16),
    U16(u16),
    I32(i32),
    U32(u32),
    I64(i64),
    U64(u64),
    Double(f64),
    Text(String),
    ObjectPath(String),
    Signature(String),
    /// The signature of each item, and the items.
    Array(String, Vec<Value>),
    Structure(Vec<Value>),
    Variant(Box<Value>),
}

impl Value {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Value::Text(text.into())
    }

    pub(super) fn signature(&self) -> String {
        match self {
            Value::Byte(_) => "y".into(),
            Value::Bool(_) => "b".into(),
            Value::I16(_) => "n".into(),
            Value::U16(_) => "q".into(),
            Value::I32(_) => "i".into(),
            Value::U32(_) => "u".into(),
            Value::I64(_) => "x".into(),
            Value::U64(_) => "t".into(),
            Value::Double(_) => "d".into(),
            Value::Text(_) => "s".into(),
            Value::ObjectPath(_) => "o".into(),
            Value::Signature(_) => "g".into(),
            Value::Array(item, _) => format!("a{item}"),
            Value::Structure(fields) => {
                format!("({})", fields.iter().map(Value::signature).collect::<String>())
            }
            Value::Variant(_) => "v".into(),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Byte(byte) => out.push(*byte),
            Value::Bool(is_true) => put(out, &u32::from(*is_true).to_le_bytes()),
            Value::I16(number) => put(out, &number.to_le_bytes()),
            Value::U16(number) => put(out, &number.to_le_bytes()),
            Value::I32(number) => put(out, &number.to_le_bytes()),
            Value::U32(number) => put(out, &number.to_le_bytes()),
            Value::I64(number) => put(out, &number.to_le_bytes()),
            Value::U64(number) => put(out, &number.to_le_bytes()),
            Value::Double(number) => put(out, &number.to_le_bytes()),
            Value::Text(text) | Value::ObjectPath(text) => {
                put(out, &(text.len() as u32).to_le_bytes());
                out.extend_from_slice(text.as_bytes());
                out.push(0);
            }
            Value::Signature(text) => put_signature(out, text),
            Value::Array(item, items) => {
                put(out, &[0; 4]);
                let length_at = out.len() - 4;
                // The padding before the first item does not count.
                align(out, alignment(item));
                let start = out.len();
                items.iter().for_each(|item| item.encode(out));
                let length = (out.len() - start) as u32;
                out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
            }
            Value::Structure(fields) => {
                align(out, 8);
                fields.iter().for_each(|field| field.encode(out));
            }
            Value::Variant(value) => {
                put_signature(out, &value.signature());
                value.encode(out);
            }
        }
    }
}

/// Where values of a type begin: at a multiple of this.
fn alignment(signature: &str) -> usize {
    match signature.as_bytes().first() {
        Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
        Some(b'b' | b'i' | b'u' | b's' | b'o' | b'a') => 4,
        Some(b'n' | b'q') => 2,
        _ => 1,
    }
}

fn align(out: &mut Vec<u8>, to: usize) {
    out.resize(out.len().next_multiple_of(to), 0);
}

/// A number at the place that its size asks for.
fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    align(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_signature(out: &mut Vec<u8>, text: &str) {
    // What is longer than 255 bytes cannot be said; nobody makes such values.
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;

const NO_REPLY_EXPECTED: u8 = 1;

const FIELD_PATH: u8 = 1;
const FIELD_INTERFACE: u8 = 2;
const FIELD_MEMBER: u8 = 3;
const FIELD_ERROR_NAME: u8 = 4;
const FIELD_REPLY_SERIAL: u8 = 5;
const FIELD_DESTINATION: u8 = 6;
const FIELD_SIGNATURE: u8 = 8;

/// Fixed part of a header, with the length of the fields behind it.
pub(super) const HEADER_BYTES: usize = 16;

/// Longer answers are not for us: ours have a few strings.
pub(super) const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Whose method is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) destination: &'static str,
    pub(super) path: &'a str,
    pub(super) interface: &'static str,
}

/// A method call as bytes.
pub(super) fn call(
    serial: u32,
    target: Target<'_>,
    method: &str,
    wants_reply: bool,
    body: &[Value],
) -> Vec<u8> {
    let mut encoded_body = Vec::new();
    body.iter().for_each(|value| value.encode(&mut encoded_body));
    let field =
        |code: u8, value: Value| Value::Structure(vec![Value::Byte(code), Value::Variant(Box::new(value))]);
    let mut fields = vec![
        field(FIELD_PATH, Value::ObjectPath(target.path.into())),
        field(FIELD_INTERFACE, Value::text(target.interface)),
        field(FIELD_MEMBER, Value::text(method)),
        field(FIELD_DESTINATION, Value::text(target.destination)),
    ];
    if !body.is_empty() {
        let signature = body.iter().map(Value::signature).collect();
        fields.push(field(FIELD_SIGNATURE, Value::Signature(signature)));
    }
    let flags = if wants_reply { 0 } else { NO_REPLY_EXPECTED };
    let mut out = vec![b'l', METHOD_CALL, flags, 1];
    put(&mut out, &(encoded_body.len() as u32).to_le_bytes());
    put(&mut out, &serial.to_le_bytes());
    Value::Array("(yv)".into(), fields).encode(&mut out);
    align(&mut out, 8);
    out.extend_from_slice(&encoded_body);
    out
}

/// What came, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Returned {
        reply_serial: u32,
        answer: Answer,
    },
    Failed {
        reply_serial: u32,
        name: String,
        text: String,
    },
    /// `JobRemoved`: the job's object path, and how it ended.
    JobRemoved {
        job: String,
        result: String,
    },
    Other,
}

/// What a method has returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// The first string or object path, if it begins with one.
    pub(super) text: String,
    /// Whether it begins with a list that is not empty.
    pub(super) has_items: bool,
    /// The number that is a property's value, if it is one of 64 bits.
    pub(super) number: Option<u64>,
}

/// How long the whole message is whose fixed part this is; `None` if it is not a message that could be for us.
pub(super) fn message_bytes(header: &[u8; HEADER_BYTES]) -> Option<usize> {
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (body, fields) = (number(4) as usize, number(12) as usize);
    let whole = HEADER_BYTES.checked_add(fields)?.checked_next_multiple_of(8)?.checked_add(body)?;
    (header[0] == b'l' && header[3] == 1 && whole <= MESSAGE_BYTES_MAX).then_some(whole)
}

/// Reads a whole message; `None` if it is malformed.
pub(super) fn parse(message: &[u8]) -> Option<Incoming> {
    let mut reader = Reader { bytes: message, at: 12 };
    let fields_end = HEADER_BYTES + reader.number()? as usize;
    let mut found = Fields::default();
    while reader.at < fields_end {
        reader.align(8);
        let code = reader.byte()?;
        let signature = reader.signature()?;
        match (code, signature) {
            (FIELD_REPLY_SERIAL, "u") => found.reply_serial = reader.number()?,
            (FIELD_MEMBER, "s") => found.member = reader.text()?,
            (FIELD_ERROR_NAME, "s") => found.error_name = reader.text()?,
            (FIELD_SIGNATURE, "g") => found.signature = reader.signature()?,
            (_, "s" | "o") => drop(reader.text()?),
            (_, "g") => drop(reader.signature()?),
            (_, "u") => drop(reader.number()?),
            _ => return None,
        }
    }
    reader.align(8);
    let begins_with_text = found.signature.starts_with(['s', 'o']);
    let mut text = || if begins_with_text { reader.text().unwrap_or_default() } else { "" }.to_owned();
    Some(match *message.get(1)? {
        METHOD_RETURN if found.signature.starts_with('a') => {
            let answer = Answer { has_items: reader.number()? > 0, ..Answer::default() };
            Incoming::Returned { reply_serial: found.reply_serial, answer }
        }
        METHOD_RETURN if found.signature == "v" => {
            let number = if reader.signature()? == "t" { Some(reader.long_number()?) } else { None };
            let answer = Answer { number, ..Answer::default() };
            Incoming::Returned { reply_serial: found.reply_serial, answer }
        }
        METHOD_RETURN => {
            let answer = Answer { text: text(), ..Answer::default() };
            Incoming::Returned { reply_serial: found.reply_serial, answer }
        }
        ERROR => Incoming::Failed {
            reply_serial: found.reply_serial,
            name: found.error_name.to_owned(),
            text: text(),
        },
        SIGNAL if found.member == "JobRemoved" && found.signature == "uoss" => {
            reader.number()?;
            let job = reader.text()?.to_owned();
            reader.text()?;
            Incoming::JobRemoved { job, result: reader.text()?.to_owned() }
        }
        _ => Incoming::Other,
    })
}

#[derive(Default)]
struct Fields<'a> {
    reply_serial: u32,
    member: &'a str,
    error_name: &'a str,
    signature: &'a str,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn number(&mut self) -> Option<u32> {
        self.align(4);
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn long_number(&mut self) -> Option<u64> {
        self.align(8);
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.number()? as usize;
        self.terminated(length)
    }

    fn signature(&mut self) -> Option<&'a str> {
        let length = usize::from(self.byte()?);
        self.terminated(length)
    }

    fn terminated(&mut self, length: usize) -> Option<&'a str> {
        let text = std::str::from_utf8(self.take(length)?).ok()?;
        (self.byte()? == 0).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Target<'_> = Target { destination: "a.b", path: "/p", interface: "c.d" };

    #[test]
    fn a_call_has_these_bytes() {
        let expected: &[u8] = b"l\x01\x00\x01\x0c\x00\x00\x00\x07\x00\x00\x00\x48\x00\x00\x00\
            \x01\x01o\x00\x02\x00\x00\x00/p\x00\x00\x00\x00\x00\x00\
            \x02\x01s\x00\x03\x00\x00\x00c.d\x00\x00\x00\x00\x00\
            \x03\x01s\x00\x01\x00\x00\x00M\x00\x00\x00\x00\x00\x00\x00\
            \x06\x01s\x00\x03\x00\x00\x00a.b\x00\x00\x00\x00\x00\
            \x08\x01g\x00\x02su\x00\
            \x00\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00";
        assert_eq!(call(7, TARGET, "M", true, &[Value::text(""), Value::U32(5)]), expected);
        assert_eq!(call(7, TARGET, "M", false, &[])[2], NO_REPLY_EXPECTED);
    }

    #[test]
    fn values_stand_where_their_types_ask_for() {
        let encoded = |value: Value| {
            let mut out = Vec::new();
            value.encode(&mut out);
            out
        };
        let pair = Value::Structure(vec![Value::text("a"), Value::Variant(Box::new(Value::U64(5)))]);
        assert_eq!(pair.signature(), "(sv)");
        assert_eq!(
            encoded(pair),
            b"\x01\x00\x00\x00a\x00\x01t\x00\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00"
        );
        let empty = Value::Array("(sv)".into(), vec![]);
        assert_eq!((empty.signature().as_str(), encoded(empty)), ("a(sv)", vec![0; 8]));
        let pids = Value::Array("u".into(), vec![Value::U32(1), Value::U32(2)]);
        assert_eq!(encoded(pids), b"\x08\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00");
        assert_eq!(encoded(Value::Array("y".into(), vec![Value::Byte(3)])), b"\x01\x00\x00\x00\x03");
        assert_eq!(encoded(Value::Bool(true)), b"\x01\x00\x00\x00");
    }

    /// What a server would send: fields and body as given.
    fn incoming(kind: u8, fields: Vec<(u8, Value)>, body: &[Value]) -> Vec<u8> {
        let mut encoded_body = Vec::new();
        body.iter().for_each(|value| value.encode(&mut encoded_body));
        let mut out = vec![b'l', kind, 1, 1];
        put(&mut out, &(encoded_body.len() as u32).to_le_bytes());
        put(&mut out, &9u32.to_le_bytes());
        let fields = fields
            .into_iter()
            .map(|(code, value)| Value::Structure(vec![Value::Byte(code), Value::Variant(Box::new(value))]))
            .collect();
        Value::Array("(yv)".into(), fields).encode(&mut out);
        align(&mut out, 8);
        out.extend_from_slice(&encoded_body);
        let header = out[..HEADER_BYTES].try_into().unwrap();
        assert_eq!(message_bytes(&header), Some(out.len()));
        out
    }

    #[test]
    fn answers_and_signals_are_told_apart() {
        let signature = |text: &str| (FIELD_SIGNATURE, Value::Signature(text.into()));
        let job = "/org/freedesktop/systemd1/job/77";
        let returned = incoming(
            METHOD_RETURN,
            vec![(FIELD_REPLY_SERIAL, Value::U32(3)), signature("o")],
            &[Value::ObjectPath(job.into())],
        );
        let answer = Answer { text: job.into(), ..Answer::default() };
        assert_eq!(parse(&returned), Some(Incoming::Returned { reply_serial: 3, answer }));
        for (items, has_items) in [(vec![], false), (vec![Value::text("a.scope")], true)] {
            let list = Value::Array("s".into(), items);
            let listed =
                incoming(METHOD_RETURN, vec![(FIELD_REPLY_SERIAL, Value::U32(3)), signature("as")], &[list]);
            let answer = Answer { has_items, ..Answer::default() };
            assert_eq!(parse(&listed), Some(Incoming::Returned { reply_serial: 3, answer }));
        }
        for (value, number) in [(Value::U64(7), Some(7)), (Value::text("7"), None)] {
            let value = Value::Variant(Box::new(value));
            let told =
                incoming(METHOD_RETURN, vec![(FIELD_REPLY_SERIAL, Value::U32(3)), signature("v")], &[value]);
            let answer = Answer { number, ..Answer::default() };
            assert_eq!(parse(&told), Some(Incoming::Returned { reply_serial: 3, answer }));
        }
        let failed = incoming(
            ERROR,
            vec![
                (FIELD_ERROR_NAME, Value::text("org.x.Exists")),
                (FIELD_REPLY_SERIAL, Value::U32(4)),
                (7, Value::text(":1.2")),
                signature("s"),
            ],
            &[Value::text("is there")],
        );
        let expected =
            Incoming::Failed { reply_serial: 4, name: "org.x.Exists".into(), text: "is there".into() };
        assert_eq!(parse(&failed), Some(expected));
        let removed = incoming(
            SIGNAL,
            vec![
                (FIELD_PATH, Value::ObjectPath("/m".into())),
                (FIELD_INTERFACE, Value::text("org.freedesktop.systemd1.Manager")),
                (FIELD_MEMBER, Value::text("JobRemoved")),
                signature("uoss"),
            ],
            &[Value::U32(77), Value::ObjectPath(job.into()), Value::text("a.scope"), Value::text("done")],
        );
        let expected = Incoming::JobRemoved { job: job.into(), result: "done".into() };
        assert_eq!(parse(&removed), Some(expected));
    }

    #[test]
    fn no_cut_or_changed_message_is_trusted() {
        let message = incoming(
            METHOD_RETURN,
            vec![(FIELD_REPLY_SERIAL, Value::U32(3)), (FIELD_SIGNATURE, Value::Signature("o".into()))],
            &[Value::ObjectPath("/job/1".into())],
        );
        for end in 0..message.len() {
            // Whatever comes of it: no panic.
            let _ = parse(&message[..end]);
        }
        for bit in 0..message.len() * 8 {
            let mut changed = message.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let _ = parse(&changed);
        }
        let mut header: [u8; HEADER_BYTES] = message[..HEADER_BYTES].try_into().unwrap();
        header[7] = 0xff;
        assert_eq!(message_bytes(&header), None);
    }
}
