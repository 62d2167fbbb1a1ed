//! What the names on the list make of their arguments.

use std::borrow::Cow;

use super::Fault;
use super::globals::Global;
use super::machine::Machine;
use super::value::{At, Node};
use crate::weights::elements::Element;

type Step<T = ()> = Result<T, Fault>;

/// No name on the list takes more, and longer tuples must not be copied at every call.
const MOST_ARGUMENTS: usize = 16;

/// `callee(*arguments)`.
pub(super) fn call(machine: &mut Machine, callee: At, arguments: At) -> Step<At> {
    let Node::Global(global) = *machine.node(callee) else { return machine.damaged("a call of what is no name") };
    let arguments = match machine.node(arguments) {
        Node::Tuple(arguments) if arguments.len() <= MOST_ARGUMENTS => arguments.clone(),
        _ => return machine.damaged("a call with other arguments than expected"),
    };
    let node = match (global, arguments.as_slice()) {
        (Global::OrderedDict, []) => Node::Dict(Vec::new()),
        (Global::OrderedDict, [pairs]) => ordered(machine, *pairs)?,
        (Global::Namespace, []) => Node::Namespace(Vec::new()),
        (Global::Encode, [text, coding, ..]) => encode(machine, *text, *coding)?,
        (Global::ReconstructArray, [..]) => {
            let dtype = machine.keep(Node::None)?;
            Node::Array { dtype, shape: Vec::new(), fortran: false, bytes: None }
        }
        (Global::Dtype, [code, ..]) => dtype(machine, *code)?,
        (Global::Scalar, [dtype, bytes]) => {
            Node::Array { dtype: *dtype, shape: Vec::new(), fortran: false, bytes: Some(*bytes) }
        }
        (Global::FromBuffer, [bytes, dtype, shape, order]) => {
            let fortran = matches!(machine.node(*order), Node::Str("F"));
            Node::Array { dtype: *dtype, shape: sizes(machine, *shape)?, fortran, bytes: Some(*bytes) }
        }
        (Global::RebuildTensor, [storage, offset, shape, strides, ..]) => Node::Tensor {
            storage: *storage,
            offset: size(machine, *offset)?,
            shape: sizes(machine, *shape)?,
            strides: sizes(machine, *strides)?,
        },
        (Global::RebuildParameter, [tensor, ..]) => return Ok(*tensor),
        _ => return machine.damaged("a call with other arguments than expected"),
    };
    machine.keep(node)
}

/// `object.__setstate__(state)` of the few types that have one.
pub(super) fn set_state(machine: &mut Machine, object: At, state: At) -> Step {
    let items = match machine.node(state) {
        Node::Tuple(items) if items.len() <= MOST_ARGUMENTS => items.clone(),
        _ => Vec::new(),
    };
    if let (Node::Namespace(_), Node::Dict(attributes)) = (machine.node(object), machine.node(state)) {
        let attributes = attributes.clone();
        spend(machine, attributes.len() * size_of::<(At, At)>())?;
        replace(machine, object, Node::Namespace(attributes));
        return Ok(());
    }
    let changed = match (machine.node(object), items.as_slice()) {
        // (version, shape, dtype, is_fortran, data)
        (Node::Array { .. }, [_, shape, dtype, fortran, bytes]) => Node::Array {
            dtype: *dtype,
            shape: sizes(machine, *shape)?,
            fortran: matches!(machine.node(*fortran), Node::Bool(true) | Node::Int(1)),
            bytes: Some(*bytes),
        },
        // (version, byte order, …)
        (Node::Dtype { element, .. }, [_, order, ..]) => {
            let big_endian = matches!(machine.node(*order), Node::Str(">"))
                || matches!(machine.node(*order), Node::Bytes(order) if **order == *b">");
            Node::Dtype { element: *element, big_endian }
        }
        // Attributes of an ordered dict (PyTorch keeps its `_metadata` there) are of no use here.
        (Node::Dict(_), _) => return Ok(()),
        _ => return machine.damaged("a state for something that has none"),
    };
    replace(machine, object, changed);
    Ok(())
}

fn replace<'a>(machine: &mut Machine<'a>, object: At, node: Node<'a>) {
    if let Some(slot) = machine.nodes.get_mut(object as usize) {
        *slot = node;
    }
}

/// The storage that a persistent id `('storage', type, key, device, length)` names; before version 1.6 a sixth item
/// stood for a view of another storage.
pub(super) fn storage<'a>(machine: &Machine<'a>, id: At) -> Step<Node<'a>> {
    if let Node::Tuple(items) = machine.node(id)
        && let [tag, kind, key, _, len, view @ ..] = items.as_slice()
        && (view.is_empty() || (view.len() == 1 && matches!(machine.node(view[0]), Node::None)))
        && let (Node::Str("storage"), Node::Global(Global::Storage(element)), Node::Str(key)) =
            (machine.node(*tag), machine.node(*kind), machine.node(*key))
    {
        return Ok(Node::Storage { element: *element, key, len: size(machine, *len)? });
    }
    Err(Fault::Refused("an object outside the pickle that is no tensor".into()))
}

/// A dict from a list of pairs.
fn ordered<'a>(machine: &mut Machine<'a>, pairs: At) -> Step<Node<'a>> {
    let Node::List(pairs) = machine.node(pairs) else { return machine.damaged("a dict from no list") };
    let entry = |pair: &At| match machine.node(*pair) {
        Node::List(items) | Node::Tuple(items) if items.len() == 2 => Ok((items[0], items[1])),
        _ => machine.damaged("a dict from no pairs"),
    };
    let entries: Step<Vec<_>> = pairs.iter().map(entry).collect();
    let entries = entries?;
    spend(machine, entries.len() * size_of::<(At, At)>())?;
    Ok(Node::Dict(entries))
}

/// `_codecs.encode(text, 'latin1')`.
fn encode<'a>(machine: &mut Machine<'a>, text: At, coding: At) -> Step<Node<'a>> {
    let (Node::Str(text), Node::Str("latin1" | "latin-1")) = (machine.node(text), machine.node(coding)) else {
        return machine.damaged("bytes in another coding than latin1");
    };
    let text = *text;
    spend(machine, text.len())?;
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    match bytes {
        Some(bytes) => Ok(Node::Bytes(Cow::Owned(bytes))),
        None => machine.damaged("bytes beyond latin1"),
    }
}

fn dtype<'a>(machine: &Machine<'a>, code: At) -> Step<Node<'a>> {
    let code = match machine.node(code) {
        Node::Str(code) => code,
        Node::Bytes(code) => std::str::from_utf8(code).unwrap_or_default(),
        _ => return machine.damaged("a dtype without a code"),
    };
    let big_endian = code.starts_with('>');
    let element = Element::from_numpy(code.trim_start_matches(['<', '>', '=', '|']));
    Ok(Node::Dtype { element, big_endian })
}

fn size(machine: &Machine, at: At) -> Step<usize> {
    match machine.node(at) {
        Node::Int(n) => usize::try_from(*n).or_else(|_| machine.damaged("a negative size")),
        _ => machine.damaged("a size that is no integer"),
    }
}

fn sizes(machine: &mut Machine, at: At) -> Step<Vec<usize>> {
    let Node::Tuple(items) = machine.node(at) else { return machine.damaged("a shape that is no tuple") };
    let sizes: Step<Vec<_>> = items.iter().map(|&item| size(machine, item)).collect();
    let sizes = sizes?;
    // NumPy knows at most 64 axes.
    if sizes.len() > 64 {
        return machine.damaged("a shape of too many axes");
    }
    spend(machine, sizes.len() * size_of::<usize>())?;
    Ok(sizes)
}

/// Counts copied bytes, so that a small pickle cannot make large ones over and over.
fn spend(machine: &mut Machine, bytes: usize) -> Step {
    match machine.allowance.checked_sub(bytes) {
        Some(rest) => {
            machine.allowance = rest;
            Ok(())
        }
        None => machine.damaged("it copies the same data again and again"),
    }
}
