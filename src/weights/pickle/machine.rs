//! The opcodes of the binary protocols.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use super::globals::Global;
use super::value::{At, Node};
use super::{Fault, Pickle, rebuild};

type Step<T = ()> = Result<T, Fault>;

/// State of the reading.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    pub nodes: Vec<Node<'a>>,
    stack: Vec<At>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: FxHashMap<u32, At>,
    /// Bytes that may still be copied: a pickle must not grow beyond a multiple of itself.
    pub allowance: usize,
}

/// Runs the program at the start of `bytes`, and tells its length.
pub(super) fn run(bytes: &[u8]) -> Step<(Pickle<'_>, usize)> {
    if bytes.first() != Some(&0x80) {
        return Err(Fault::NotBinary("it does not begin with a protocol number"));
    }
    let mut machine = Machine {
        bytes,
        at: 0,
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: FxHashMap::default(),
        allowance: bytes.len().saturating_mul(4),
    };
    while !machine.step()? {}
    let root = machine.pop()?;
    Ok((Pickle { nodes: machine.nodes, root }, machine.at))
}

impl<'a> Machine<'a> {
    pub fn damaged<T>(&self, what: &'static str) -> Step<T> {
        Err(Fault::Damaged(what, self.at))
    }

    /// Takes one opcode; true at the end.
    fn step(&mut self) -> Step<bool> {
        match self.byte()? {
            b'.' => return Ok(true),
            0x80 => match self.byte()? {
                2..=5 => {}
                _ => return Err(Fault::NotBinary("its protocol number is another one")),
            },
            // The length of a frame says nothing that the opcodes in it do not.
            0x95 => {
                self.take(8)?;
            }
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.pop_mark()?;
            }
            b'2' => self.stack.push(self.top()?),
            op @ (b'q' | b'r' | 0x94 | b'h' | b'j') => self.memorise_or_recall(op)?,
            op @ (b'c' | 0x93 | b'i') => self.global(op)?,
            b'R' | 0x81 => {
                let (arguments, callee) = (self.pop()?, self.pop()?);
                let made = rebuild::call(self, callee, arguments)?;
                self.stack.push(made);
            }
            b'b' => {
                let (state, object) = (self.pop()?, self.top()?);
                rebuild::set_state(self, object, state)?;
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = rebuild::storage(self, id)?;
                self.push(storage)?;
            }
            op @ (b'a' | b'e' | b's' | b'u' | 0x90) => self.fill(op)?,
            op => {
                let node = self.literal(op)?;
                self.push(node)?;
            }
        }
        Ok(false)
    }

    /// Opcodes that make a new value.
    fn literal(&mut self, op: u8) -> Step<Node<'a>> {
        Ok(match op {
            b'N' => Node::None,
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            b'J' => Node::Int(i64::from(i32::from_le_bytes(self.array()?))),
            b'K' => Node::Int(i64::from(self.byte()?)),
            b'M' => Node::Int(i64::from(u16::from_le_bytes(self.array()?))),
            0x8a => {
                let n = usize::from(self.byte()?);
                integer(self.take(n)?)
            }
            0x8b => {
                let n = self.length32()?;
                integer(self.take(n)?)
            }
            b'G' => Node::Float(f64::from_be_bytes(self.array()?)),
            b'X' => self.text(4)?,
            0x8c => self.text(1)?,
            0x8d => self.text(8)?,
            b'B' | b'T' => self.blob(4)?,
            b'C' | b'U' => self.blob(1)?,
            0x8e | 0x96 => self.blob(8)?,
            b']' => Node::List(Vec::new()),
            b'}' => Node::Dict(Vec::new()),
            b')' => Node::Tuple(Vec::new()),
            0x8f => Node::Set(Vec::new()),
            0x85 => Node::Tuple(self.pop_n(1)?),
            0x86 => Node::Tuple(self.pop_n(2)?),
            0x87 => Node::Tuple(self.pop_n(3)?),
            b't' => Node::Tuple(self.pop_mark()?),
            b'l' => Node::List(self.pop_mark()?),
            0x91 => Node::Set(self.pop_mark()?),
            b'd' => {
                let items = self.pop_mark()?;
                Node::Dict(self.pairs(&items)?)
            }
            b'I' | b'L' | b'F' | b'S' | b'V' | b'g' | b'p' | b'P' => {
                return Err(Fault::NotBinary("it holds text opcodes of protocol 0"));
            }
            b'o' | 0x92 | 0x82..=0x84 => return Err(Fault::Refused("an object with its own constructor".into())),
            0x97 | 0x98 => return Err(Fault::Refused("a buffer outside the pickle".into())),
            _ => return self.damaged("an unknown opcode"),
        })
    }

    /// Opcodes that put values into a container.
    fn fill(&mut self, op: u8) -> Step {
        let items = match op {
            b'a' => self.pop_n(1)?,
            b's' => self.pop_n(2)?,
            _ => self.pop_mark()?,
        };
        let container = self.top()? as usize;
        if matches!(op, b's' | b'u') {
            let pairs = self.pairs(&items)?;
            if let Some(Node::Dict(entries)) = self.nodes.get_mut(container) {
                entries.extend(pairs);
                return Ok(());
            }
        } else if let Some(Node::List(entries) | Node::Set(entries)) = self.nodes.get_mut(container) {
            entries.extend(items);
            return Ok(());
        }
        self.damaged("an item for something that takes none")
    }

    fn memorise_or_recall(&mut self, op: u8) -> Step {
        let key = match op {
            b'q' | b'h' => u32::from(self.byte()?),
            b'r' | b'j' => u32::from_le_bytes(self.array()?),
            _ => self.memo.len() as u32,
        };
        if matches!(op, b'h' | b'j') {
            let Some(&value) = self.memo.get(&key) else { return self.damaged("a value that was never made") };
            self.stack.push(value);
        } else {
            let value = self.top()?;
            self.memo.insert(key, value);
        }
        Ok(())
    }

    /// Looks a name up in the list; nothing is imported.
    fn global(&mut self, op: u8) -> Step {
        let (module, name) = if op == 0x93 {
            let (name, module) = (self.pop()?, self.pop()?);
            match (self.node(module), self.node(name)) {
                (Node::Str(module), Node::Str(name)) => (*module, *name),
                _ => return self.damaged("a name that is no text"),
            }
        } else {
            (self.line()?, self.line()?)
        };
        match Global::find(module, name) {
            Some(global) if op != b'i' => self.push(Node::Global(global)),
            _ => Err(Fault::Refused(format!("{module}.{name}"))),
        }
    }

    /// The value of a number that came from the stack or the memo, which hold no others.
    pub fn node(&self, at: At) -> &Node<'a> {
        self.nodes.get(at as usize).unwrap_or(&Node::None)
    }

    /// Keeps a value and names it.
    pub fn keep(&mut self, node: Node<'a>) -> Step<At> {
        let at = At::try_from(self.nodes.len()).or_else(|_| self.damaged("too many values"))?;
        self.nodes.push(node);
        Ok(at)
    }

    fn push(&mut self, node: Node<'a>) -> Step {
        let at = self.keep(node)?;
        self.stack.push(at);
        Ok(())
    }

    /// Values below an open mark cannot be taken.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Step<At> {
        match self.stack.last() {
            Some(&at) if self.stack.len() > self.floor() => Ok(at),
            _ => self.damaged("a value is missing"),
        }
    }

    fn pop(&mut self) -> Step<At> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_n(&mut self, n: usize) -> Step<Vec<At>> {
        match self.stack.len().checked_sub(n) {
            Some(start) if start >= self.floor() => Ok(self.stack.split_off(start)),
            _ => self.damaged("a value is missing"),
        }
    }

    fn pop_mark(&mut self) -> Step<Vec<At>> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => self.damaged("a mark is missing"),
        }
    }

    fn pairs(&self, items: &[At]) -> Step<Vec<(At, At)>> {
        match items.as_chunks() {
            (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
            _ => self.damaged("a key without a value"),
        }
    }

    fn take(&mut self, n: usize) -> Step<&'a [u8]> {
        let Some(taken) = self.bytes.get(self.at..).and_then(|rest| rest.get(..n)) else {
            return self.damaged("it ends too early");
        };
        self.at += n;
        Ok(taken)
    }

    fn byte(&mut self) -> Step<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let taken = self.take(N)?;
        taken.try_into().or_else(|_| self.damaged("it ends too early"))
    }

    fn length32(&mut self) -> Step<usize> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    /// Bytes after their length of `width` bytes.
    fn counted(&mut self, width: usize) -> Step<&'a [u8]> {
        let n = match width {
            1 => usize::from(self.byte()?),
            4 => self.length32()?,
            _ => usize::try_from(u64::from_le_bytes(self.array()?)).unwrap_or(usize::MAX),
        };
        self.take(n)
    }

    fn text(&mut self, width: usize) -> Step<Node<'a>> {
        match std::str::from_utf8(self.counted(width)?) {
            Ok(text) => Ok(Node::Str(text)),
            Err(_) => self.damaged("text that is not UTF-8"),
        }
    }

    fn blob(&mut self, width: usize) -> Step<Node<'a>> {
        Ok(Node::Bytes(Cow::Borrowed(self.counted(width)?)))
    }

    fn line(&mut self) -> Step<&'a str> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return self.damaged("it ends too early") };
        let line = self.take(end)?;
        self.at += 1;
        std::str::from_utf8(line).or_else(|_| self.damaged("a name that is not text"))
    }
}

/// A little-endian integer in two's complement.
fn integer<'a>(bytes: &[u8]) -> Node<'a> {
    if bytes.len() > 8 {
        return Node::HugeInt;
    }
    let negative = bytes.last().is_some_and(|&top| top >= 0x80);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Node::Int(i64::from_le_bytes(wide))
}
