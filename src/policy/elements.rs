//! The elements of a statement that say whom, what and when it is about, read strictly.

use std::borrow::Cow;

use super::Kind;
use super::action::{ActionPattern, Actions};
use super::arn::ResourcePattern;
use super::condition::Condition;
use super::document::{Reader, all, member};
use super::fault::{Path, Refusal};
use super::json::Node;
use super::key::ConditionKey;
use super::lint::never_applies;
use super::operator::Operator;
use super::statement::Resources;

impl Reader<'_> {
    /// The one of two members that is there, and whether it is the second.
    pub(super) fn one_of<'m>(
        &mut self,
        members: &'m [(String, Node)],
        names: [&'static str; 2],
        path: &Path<'_>,
    ) -> Option<(&'m Node, &'static str, bool)> {
        let [plain, except] = names;
        match (member(members, plain), member(members, except)) {
            (Some(node), None) => Some((node, plain, false)),
            (None, Some(node)) => Some((node, except, true)),
            (Some(_), Some(_)) => {
                let refusal = Refusal::new(format!("`{plain}` and `{except}` exclude each other"));
                self.findings.refuse(path, refusal.hint("keep one of them"))
            }
            (None, None) => self.findings.refuse(path, Refusal::new(format!("`{plain}` is missing"))),
        }
    }

    /// Whether it is a statement of a key policy without either element: KMS stores it, and it has no effect (developer
    /// guide, "Key policy elements").
    fn has_no_effect(&mut self, members: &[(String, Node)], names: [&str; 2], path: &Path<'_>) -> bool {
        let none = self.kind == Kind::Key && names.iter().all(|name| member(members, name).is_none());
        if none {
            let [name, _] = names;
            let warning = Refusal::new(format!("a statement without `{name}` has no effect"));
            self.findings.warn(path, warning.hint(format!("add `\"{name}\"`")));
        }
        none
    }

    pub(super) fn actions(&mut self, members: &[(String, Node)], path: &Path<'_>) -> Option<Actions> {
        if self.has_no_effect(members, ["Action", "NotAction"], path) {
            return Some(Actions::new(Vec::new(), false));
        }
        let (node, name, except) = self.one_of(members, ["Action", "NotAction"], path)?;
        let patterns = self.texts(node, &path.member(name), |reader, text, path| {
            let pattern = reader.findings.take(path, ActionPattern::parse(text))?;
            if let Some(warning) = pattern.misspelt(text) {
                reader.findings.warn(path, warning);
            }
            Some(pattern)
        })?;
        Some(Actions::new(patterns, except))
    }

    pub(super) fn resources(&mut self, members: &[(String, Node)], path: &Path<'_>) -> Option<Resources> {
        if self.has_no_effect(members, ["Resource", "NotResource"], path) {
            return Some(Resources::None);
        }
        let (node, name, except) = self.one_of(members, ["Resource", "NotResource"], path)?;
        let patterns = self.texts(node, &path.member(name), |reader, text, path| {
            if text == "*" {
                return Some(None);
            }
            let pattern = reader.findings.take(path, ResourcePattern::parse(text, reader.variables))?;
            reader.warn_of_variables(text, pattern.variables(), path);
            Some(Some(pattern))
        })?;
        let patterns: Option<Box<[ResourcePattern]>> = patterns.into_iter().collect();
        Some(match (patterns, except) {
            (Some(patterns), false) => Resources::Only(patterns),
            (Some(patterns), true) => Resources::Except(patterns),
            (None, false) => Resources::All,
            (None, true) => {
                self.findings.warn(&path.member(name), never_applies("no resource is left beside `*`"));
                Resources::None
            }
        })
    }

    pub(super) fn conditions(&mut self, node: Option<&Node>, path: &Path<'_>) -> Option<Vec<Condition>> {
        let Some(node) = node else { return Some(Vec::new()) };
        let operators = self.object(node, path)?;
        let blocks = operators.iter().map(|(name, keys)| {
            let path = path.member(name);
            let operator = self.findings.take(&path, Operator::parse(name));
            let keys = self.object(keys, &path)?;
            if keys.is_empty() {
                return self.findings.refuse(&path, Refusal::new("no condition key is tested"));
            }
            all(keys.iter().map(|(key, values)| self.condition(operator, key, values, &path.member(key))))
        });
        Some(all(blocks)?.into_iter().flatten().collect())
    }

    fn condition(&mut self, operator: Option<Operator>, name: &str, node: &Node, path: &Path<'_>) -> Option<Condition> {
        let key = self.findings.take(path, ConditionKey::parse(name));
        let values = self.values(node, path);
        let (operator, key, values) = (operator?, key?, values?);
        if let Some(warning) = key.misspelt(name) {
            self.findings.warn(path, warning);
        }
        let key = self.present(&key, path);
        match Condition::parse(operator, key, &values, self.variables) {
            Ok(condition) => {
                self.warn_of_absence(&condition, path);
                self.warn_of_variables("", condition.variables(), path);
                if !self.variables && values.iter().any(|value| value.contains("${")) {
                    self.warn_of_variables("${", std::iter::empty(), path);
                }
                if condition.lacks_set_operator() {
                    let warning = Refusal::new(format!("`{name}` can have several values"));
                    self.findings.warn(path, warning.hint("put `ForAllValues:` or `ForAnyValue:` before the operator"));
                }
                Some(condition)
            }
            Err(refusals) => {
                let listed = matches!(node, Node::List(_));
                for (index, refusal) in refusals {
                    let item = path.item(index);
                    self.findings.refuse::<()>(if listed { &item } else { path }, refusal);
                }
                None
            }
        }
    }

    /// The values of one condition key: one scalar or a list of them.
    fn values<'n>(&mut self, node: &'n Node, path: &Path<'_>) -> Option<Vec<Cow<'n, str>>> {
        let mut scalar = |node: &'n Node, path: &Path<'_>| {
            let refusal = || Refusal::new(format!("{} is no value of a condition", node.kind()));
            let text = node.scalar().ok_or_else(|| refusal().hint("write a string, a number or a boolean"));
            self.findings.take(path, text)
        };
        match node {
            Node::List(items) if items.is_empty() => {
                self.findings.refuse(path, Refusal::new("the list of values is empty"))
            }
            Node::List(items) => all(items.iter().enumerate().map(|(index, item)| scalar(item, &path.item(index)))),
            one => scalar(one, path).map(|text| vec![text]),
        }
    }

    /// Reads a string or a list of strings, which may not be empty.
    pub(super) fn texts<T>(
        &mut self,
        node: &Node,
        path: &Path<'_>,
        mut read: impl FnMut(&mut Self, &str, &Path<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut text = |node: &Node, path: &Path<'_>| match node {
            Node::Text(text) => read(self, text, path),
            other => {
                self.findings.refuse(path, Refusal::new(format!("{} stands where a string belongs", other.kind())))
            }
        };
        match node {
            Node::List(items) if items.is_empty() => self.findings.refuse(path, Refusal::new("the list is empty")),
            Node::List(items) => all(items.iter().enumerate().map(|(index, item)| text(item, &path.item(index)))),
            one => Some(vec![text(one, path)?]),
        }
    }
}
