//! Property lists: the dictionary beside a module (`<module>.plist`), as proplib writes it (`proplib(3)`, XML form).

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use roxmltree::{Document, Node, ParsingOptions};

/// A file of this many bytes or more is refused with EFBIG.
pub const TOO_LARGE: u64 = 8191;

/// Most XML nodes a list may have; a file within the size limit has fewer.
const MAX_NODES: u32 = 8192;
/// Deepest nesting of arrays and dictionaries.
const MAX_DEPTH: u32 = 32;

/// A value of a property list.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `<true/>` or `<false/>`.
    Bool(bool),
    /// `<integer>`: decimal, octal or hexadecimal as C writes them.
    Integer(i128),
    /// `<string>`.
    String(String),
    /// `<data>`, base64 as written, blanks removed.
    Data(String),
    /// `<array>`.
    Array(Vec<Value>),
    /// `<dict>`.
    Dictionary(Properties),
}

/// A dictionary. A vector in the order of keys: lists are short, and a tree would be larger than everything else here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties(Vec<(String, Value)>);

/// Why a property list was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertiesError {
    /// What is wrong.
    pub why: String,
    /// Line, from 1; 0 if unknown.
    pub line: u32,
}

impl Properties {
    /// An empty dictionary.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the XML form.
    ///
    /// # Errors
    /// [`PropertiesError`] for anything that is not one dictionary.
    pub fn parse(bytes: &[u8]) -> Result<Self, PropertiesError> {
        let fail = |why: &str, line| PropertiesError { why: why.to_string(), line };
        let text = core::str::from_utf8(bytes).map_err(|_| fail("not UTF-8", 0))?;
        let text = text.trim_end_matches('\0');
        let document = document(text).map_err(|error| fail(&error.to_string(), error.pos().row))?;
        let root = document.root_element();
        if root.tag_name().name() != "plist" {
            return Err(fail("the root element is not <plist>", 1));
        }
        let mut children = root.children().filter(Node::is_element);
        match (children.next(), children.next()) {
            (Some(node), None) if node.tag_name().name() == "dict" => dictionary(node, 0),
            _ => Err(fail("<plist> does not hold exactly one <dict>", 1)),
        }
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.position(key).ok().map(|at| &self.0[at].1)
    }

    /// Sets `key`, replacing what was there.
    pub fn set(&mut self, key: &str, value: Value) {
        match self.position(key) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key.to_string(), value)),
        }
    }

    fn position(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.as_str().cmp(key))
    }

    /// Sets every key of `over`.
    pub fn merge(&mut self, over: &Self) {
        for (key, value) in &over.0 {
            self.set(key, value.clone());
        }
    }

    /// Keys and values in the order of keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Whether the kernel's own key `noautoload` is true.
    #[must_use]
    pub fn noautoload(&self) -> bool {
        matches!(self.get("noautoload"), Some(Value::Bool(true)))
    }
}

/// Never inlined, so that the parser can be told apart in an image.
#[inline(never)]
fn document(text: &str) -> Result<Document<'_>, roxmltree::Error> {
    let options = ParsingOptions { allow_dtd: true, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    Document::parse_with_options(text, options)
}

fn error(node: Node<'_, '_>, why: &str) -> PropertiesError {
    PropertiesError { why: why.to_string(), line: node.document().text_pos_at(node.range().start).row }
}

fn dictionary(node: Node<'_, '_>, depth: u32) -> Result<Properties, PropertiesError> {
    let mut properties = Properties::new();
    let mut children = node.children().filter(Node::is_element);
    while let Some(key) = children.next() {
        if key.tag_name().name() != "key" {
            return Err(error(key, "a <dict> wants a <key> here"));
        }
        let value = children.next().ok_or_else(|| error(key, "a <key> without a value"))?;
        properties.set(key.text().unwrap_or(""), parse_value(value, depth + 1)?);
    }
    Ok(properties)
}

fn parse_value(node: Node<'_, '_>, depth: u32) -> Result<Value, PropertiesError> {
    if depth > MAX_DEPTH {
        return Err(error(node, "nested too deeply"));
    }
    let text = node.text().unwrap_or("");
    Ok(match node.tag_name().name() {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "string" => Value::String(text.to_string()),
        "data" => Value::Data(text.split_whitespace().collect()),
        "integer" => Value::Integer(integer(text.trim()).ok_or_else(|| error(node, "not a 64-bit integer"))?),
        "dict" => Value::Dictionary(dictionary(node, depth)?),
        "array" => Value::Array(
            node.children().filter(Node::is_element).map(|item| parse_value(item, depth + 1)).collect::<Result<_, _>>()?,
        ),
        _ => return Err(error(node, "unknown element")),
    })
}

fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(&digits[1..], 8),
        None => digits.parse(),
    };
    let value = i128::from(value.ok()?);
    if negative { Some(-value).filter(|&value| value >= i128::from(i64::MIN)) } else { Some(value) }
}

impl fmt::Display for PropertiesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 { f.write_str(&self.why) } else { write!(f, "line {}: {}", self.line, self.why) }
    }
}

impl core::error::Error for PropertiesError {}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple Computer//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n";

    #[test]
    fn reads_what_proplib_writes() {
        let text = alloc::format!(
            "{HEAD}<plist version=\"1.0\"><dict><key>noautoload</key><true/><key>n</key><integer>0x10</integer>\
             <key>s</key><string>a &amp; b</string><key>a</key><array><integer>-1</integer></array></dict></plist>\n"
        );
        let properties = Properties::parse(text.as_bytes()).unwrap();
        assert!(properties.noautoload());
        assert_eq!(properties.get("n"), Some(&Value::Integer(16)));
        assert_eq!(properties.get("s"), Some(&Value::String("a & b".to_string())));
        assert_eq!(properties.get("a"), Some(&Value::Array(alloc::vec![Value::Integer(-1)])));
    }

    #[test]
    fn statement_095_refuses_what_is_no_dictionary() {
        for text in ["", "<plist/>", "<plist><array/></plist>", "<plist><dict><key>a</key></dict></plist>", "<dict/>", "\u{0}"] {
            assert!(Properties::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(Properties::parse(&[0xff, 0xfe]).is_err());
        let deep = alloc::format!("<plist><dict><key>a</key>{}{}</dict></plist>", "<array>".repeat(100), "</array>".repeat(100));
        assert!(Properties::parse(deep.as_bytes()).is_err());
        let bomb = "<!DOCTYPE plist [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;\">\
                    <!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;\"><!ENTITY e \"&d;&d;&d;&d;&d;&d;&d;&d;&d;\">]><plist><dict><key>k</key>\
                    <string>&e;&e;&e;&e;&e;&e;</string></dict></plist>";
        assert!(Properties::parse(bomb.as_bytes()).is_err(), "entity bombs end early");
    }
}
