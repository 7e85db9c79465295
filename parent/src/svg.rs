//! What every picture needs: text in XML.

use std::fmt::Write as _;

/// Appends words at a place, in pixels; `class` names their looks in the picture's style sheet.
pub fn text(out: &mut String, class: &str, x: f64, y: f64, words: &str) {
    // Ignored: writing to a String cannot fail.
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escaped(words));
}

/// Text as it stands in an element or in a quoted attribute, of XML and of HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_cannot_become_elements_or_attributes() {
        assert_eq!(escaped("<a b=\"c\">&"), "&lt;a b=&quot;c&quot;&gt;&amp;");
        let mut out = String::new();
        text(&mut out, "name", 1.0, 2.0, "a<b");
        assert_eq!(out, "<text class=\"name\" x=\"1.0\" y=\"2.0\">a&lt;b</text>\n");
    }
}
