//! Ordered trees whose nodes lie in module code's structures: `rb_tree_*`.
//!
//! Only these functions look into a node, so the balance need not be red and black: the tree is a treap, a search tree by key and
//! a heap by a hash of the node's address. A node's third word is its parent.

use crate::export::{Export, function};
use core::ptr;

#[repr(C)]
struct Node {
    /// Left and right.
    children: [*mut Node; 2],
    parent: *mut Node,
}

/// `rb_tree_ops_t`. The first argument is the context; the answer is positive if the second sorts behind the third.
#[repr(C)]
struct Operations {
    compare_nodes: unsafe extern "C" fn(*mut u8, *const u8, *const u8) -> i32,
    compare_key: unsafe extern "C" fn(*mut u8, *const u8, *const u8) -> i32,
    offset: usize,
    context: *mut u8,
}

/// `rb_tree_t`.
#[repr(C)]
struct Tree {
    root: *mut Node,
    operations: *const Operations,
    unused: [*mut Node; 2],
}

const LEFT: usize = 0;
const RIGHT: usize = 1;

/// The order of nodes from the root down: a parent's is not below its children's.
fn priority(node: *const Node) -> u64 {
    let mut word = node.addr() as u64;
    word = (word ^ word >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    word = (word ^ word >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ word >> 33
}

impl Tree {
    unsafe fn operations(&self) -> &Operations {
        // SAFETY: `rb_tree_init` was given the operations, which live as long as the tree.
        unsafe { &*self.operations }
    }

    unsafe fn node(&self, object: *mut u8) -> *mut Node {
        // SAFETY: the node lies in the object.
        unsafe { object.add(self.operations().offset).cast() }
    }

    unsafe fn object(&self, node: *mut Node) -> *mut u8 {
        if node.is_null() {
            return ptr::null_mut();
        }
        // SAFETY: the node lies in an object.
        unsafe { node.cast::<u8>().sub(self.operations().offset) }
    }

    /// The link that leads to `node`.
    unsafe fn link(&mut self, node: *mut Node) -> *mut *mut Node {
        // SAFETY: a node of the tree; its parent's links are members of it.
        unsafe {
            let parent = (*node).parent;
            if parent.is_null() {
                &raw mut self.root
            } else {
                let side = usize::from((*parent).children[RIGHT] == node);
                &raw mut (*parent).children[side]
            }
        }
    }

    /// Puts `node`'s child on `side` in its place, and `node` below it on the other side.
    unsafe fn rotate(&mut self, node: *mut Node, side: usize) {
        // SAFETY: a node of the tree with a child on that side.
        unsafe {
            let link = self.link(node);
            let child = (*node).children[side];
            let inner = (*child).children[1 - side];
            (*node).children[side] = inner;
            if !inner.is_null() {
                (*inner).parent = node;
            }
            (*child).children[1 - side] = node;
            (*child).parent = (*node).parent;
            (*node).parent = child;
            *link = child;
        }
    }

    /// Inserts; answers the node with the same key if there is one.
    unsafe fn insert(&mut self, object: *mut u8) -> *mut u8 {
        // SAFETY: module code passes an object that is in no tree; all nodes met are in this one.
        unsafe {
            let new = self.node(object);
            let mut parent = ptr::null_mut();
            let mut link = &raw mut self.root;
            while !(*link).is_null() {
                parent = *link;
                let operations = self.operations();
                let order = (operations.compare_nodes)(operations.context, self.object(parent), object);
                if order == 0 {
                    return self.object(parent);
                }
                link = &raw mut (*parent).children[usize::from(order < 0)];
            }
            new.write(Node { children: [ptr::null_mut(); 2], parent });
            *link = new;
            while !(*new).parent.is_null() && priority(new) > priority((*new).parent) {
                let parent = (*new).parent;
                self.rotate(parent, usize::from((*parent).children[RIGHT] == new));
            }
            object
        }
    }

    /// Removes a node of the tree.
    unsafe fn remove(&mut self, object: *mut u8) {
        // SAFETY: module code passes an object of this tree.
        unsafe {
            let node = self.node(object);
            let only = loop {
                let [left, right] = (*node).children;
                if left.is_null() {
                    break right;
                }
                if right.is_null() {
                    break left;
                }
                self.rotate(node, usize::from(priority(right) > priority(left)));
            };
            *self.link(node) = only;
            if !only.is_null() {
                (*only).parent = (*node).parent;
            }
            node.write(Node { children: [ptr::null_mut(); 2], parent: ptr::null_mut() });
        }
    }

    /// The node with a key; without one, the nearest on `side`, if a side is given.
    unsafe fn find(&self, key: *const u8, side: Option<usize>) -> *mut u8 {
        let mut node = self.root;
        let mut nearest = ptr::null_mut();
        // SAFETY: module code passes a key its comparison understands; nodes are of this tree.
        unsafe {
            while !node.is_null() {
                let operations = self.operations();
                let order = (operations.compare_key)(operations.context, self.object(node), key);
                if order == 0 {
                    return self.object(node);
                }
                let next = usize::from(order < 0);
                // Going left, the node is above the key; going right, below.
                if side == Some(1 - next) {
                    nearest = node;
                }
                node = (*node).children[next];
            }
            self.object(nearest)
        }
    }

    /// The outermost node on `side` of the tree below `node`.
    unsafe fn outermost(mut node: *mut Node, side: usize) -> *mut Node {
        // SAFETY: null or a node of the tree.
        unsafe {
            while !node.is_null() && !(*node).children[side].is_null() {
                node = (*node).children[side];
            }
        }
        node
    }

    /// The neighbour of `object` in `direction`; without an object, the outermost one on that side.
    unsafe fn iterate(&self, object: *mut u8, direction: usize) -> *mut u8 {
        let other = 1 - direction;
        // SAFETY: null or an object of this tree.
        unsafe {
            if object.is_null() {
                return self.object(Self::outermost(self.root, direction));
            }
            let mut node = self.node(object);
            if !(*node).children[direction].is_null() {
                return self.object(Self::outermost((*node).children[direction], other));
            }
            while !(*node).parent.is_null() && (*(*node).parent).children[direction] == node {
                node = (*node).parent;
            }
            self.object((*node).parent)
        }
    }
}

unsafe extern "C" fn rb_tree_init(tree: *mut Tree, operations: *const Operations) {
    // SAFETY: module code passes room for a tree.
    unsafe { tree.write(Tree { root: ptr::null_mut(), operations, unused: [ptr::null_mut(); 2] }) }
}

unsafe extern "C" fn rb_tree_insert_node(tree: *mut Tree, object: *mut u8) -> *mut u8 {
    // SAFETY: module code passes a tree and an object that is in none.
    unsafe { (*tree).insert(object) }
}

unsafe extern "C" fn rb_tree_remove_node(tree: *mut Tree, object: *mut u8) {
    // SAFETY: module code passes a tree and an object in it.
    unsafe { (*tree).remove(object) }
}

unsafe extern "C" fn rb_tree_find_node(tree: *mut Tree, key: *const u8) -> *mut u8 {
    // SAFETY: module code passes a tree and a key.
    unsafe { (*tree).find(key, None) }
}

unsafe extern "C" fn rb_tree_find_node_geq(tree: *mut Tree, key: *const u8) -> *mut u8 {
    // SAFETY: as above.
    unsafe { (*tree).find(key, Some(RIGHT)) }
}

unsafe extern "C" fn rb_tree_find_node_leq(tree: *mut Tree, key: *const u8) -> *mut u8 {
    // SAFETY: as above.
    unsafe { (*tree).find(key, Some(LEFT)) }
}

unsafe extern "C" fn rb_tree_iterate(tree: *mut Tree, object: *mut u8, direction: u32) -> *mut u8 {
    // SAFETY: module code passes a tree and null or an object in it.
    unsafe { (*tree).iterate(object, direction as usize & 1) }
}

unsafe extern "C" fn rb_tree_count(tree: *mut Tree) -> usize {
    let mut count = 0;
    // SAFETY: module code passes a tree.
    unsafe {
        let mut object = (*tree).iterate(ptr::null_mut(), LEFT);
        while !object.is_null() {
            count += 1;
            object = (*tree).iterate(object, RIGHT);
        }
    }
    count
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("rb_tree_init", rb_tree_init),
    function!("rb_tree_insert_node", rb_tree_insert_node),
    function!("rb_tree_remove_node", rb_tree_remove_node),
    function!("rb_tree_find_node", rb_tree_find_node),
    function!("rb_tree_find_node_geq", rb_tree_find_node_geq),
    function!("rb_tree_find_node_leq", rb_tree_find_node_leq),
    function!("rb_tree_iterate", rb_tree_iterate),
    function!("rb_tree_count", rb_tree_count),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    #[repr(C)]
    struct Item {
        key: u32,
        node: Node,
    }

    unsafe extern "C" fn nodes(_: *mut u8, one: *const u8, two: *const u8) -> i32 {
        // SAFETY: the test's trees hold items.
        unsafe { (*one.cast::<Item>()).key as i32 - (*two.cast::<Item>()).key as i32 }
    }

    unsafe extern "C" fn key(_: *mut u8, one: *const u8, key: *const u8) -> i32 {
        // SAFETY: the test's keys are numbers.
        unsafe { (*one.cast::<Item>()).key as i32 - *key.cast::<u32>() as i32 }
    }

    fn operations() -> Operations {
        Operations { compare_nodes: nodes, compare_key: key, offset: core::mem::offset_of!(Item, node), context: ptr::null_mut() }
    }

    fn key_of(object: *mut u8) -> Option<u32> {
        // SAFETY: null or an item.
        unsafe { object.cast::<Item>().as_ref() }.map(|item| item.key)
    }

    /// Keys in order, checking links and heap order on the way.
    unsafe fn keys(tree: &Tree, node: *mut Node, depth: usize, out: &mut Vec<u32>) -> usize {
        if node.is_null() {
            return depth;
        }
        // SAFETY: the test's own nodes.
        unsafe {
            let [left, right] = (*node).children;
            for child in [left, right] {
                assert!(child.is_null() || ((*child).parent == node && priority(child) <= priority(node)));
            }
            let one = keys(tree, left, depth + 1, out);
            out.extend(key_of(tree.object(node)));
            one.max(keys(tree, right, depth + 1, out))
        }
    }

    #[test]
    fn it_behaves_like_a_sorted_set() {
        let mut items: Vec<Box<Item>> = (0..2000)
            .map(|at| {
                Box::new(Item { key: at * 7919 % 4001, node: Node { children: [ptr::null_mut(); 2], parent: ptr::null_mut() } })
            })
            .collect();
        let operations = operations();
        let mut tree = Tree { root: ptr::null_mut(), operations: &raw const operations, unused: [ptr::null_mut(); 2] };
        let tree = &raw mut tree;
        let mut model = BTreeSet::new();
        // SAFETY: items outlive the tree; each is inserted once and removed only while inside.
        unsafe {
            for item in &mut items {
                let at = (&raw mut **item).cast();
                assert_eq!(rb_tree_insert_node(tree, at), at);
                model.insert(item.key);
            }
            let mut twin = Item { key: items[5].key, node: Node { children: [ptr::null_mut(); 2], parent: ptr::null_mut() } };
            assert_eq!(rb_tree_insert_node(tree, (&raw mut twin).cast()), (&raw mut *items[5]).cast());
            for item in items.iter_mut().step_by(3) {
                rb_tree_remove_node(tree, (&raw mut **item).cast());
                model.remove(&item.key);
            }
            let mut found = Vec::new();
            let depth = keys(&*tree, (*tree).root, 0, &mut found);
            assert!(found.iter().eq(model.iter()));
            // A list of 1333 would be that deep; a balanced tree is 11 deep.
            assert!(depth < 60, "depth {depth}");
            for key in 0..4010_u32 {
                let at = (&raw const key).cast();
                assert_eq!(key_of(rb_tree_find_node(tree, at)), model.get(&key).copied());
                assert_eq!(key_of(rb_tree_find_node_geq(tree, at)), model.range(key..).next().copied());
                assert_eq!(key_of(rb_tree_find_node_leq(tree, at)), model.range(..=key).next_back().copied());
            }
            let walk = |direction| {
                let first = rb_tree_iterate(tree, ptr::null_mut(), 1 - direction);
                let next = |at: &*mut u8| Some(rb_tree_iterate(tree, *at, direction)).filter(|at| !at.is_null());
                core::iter::successors(Some(first), next).filter_map(key_of).collect::<Vec<_>>()
            };
            assert!(walk(1).iter().eq(model.iter()));
            assert!(walk(0).iter().eq(model.iter().rev()));
            assert_eq!(rb_tree_count(tree), model.len());
        }
    }
}
