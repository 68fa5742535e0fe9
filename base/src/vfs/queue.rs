//! Queues whose links lie in C structures: a head with first element and address of the last link, elements with next element
//! and address of the link that points to them.

use crate::abi::constants;
use core::ptr;

/// Where the words of one kind of tail queue lie.
#[derive(Clone, Copy)]
pub(crate) struct TailQueue {
    /// Offset of the first-element word in the head; the address of the last link follows it.
    pub(crate) head: usize,
    /// Offset of the next-element word in an element; the address of the link that points to it follows.
    pub(crate) link: usize,
}

type Link = *mut *mut u8;

impl TailQueue {
    fn first_link(self, head: *mut u8) -> Link {
        // SAFETY: the head's words lie inside its structure.
        unsafe { head.add(self.head).cast() }
    }

    fn last_link(self, head: *mut u8) -> *mut Link {
        // SAFETY: as above.
        unsafe { head.add(self.head + size_of::<usize>()).cast() }
    }

    fn next_link(self, element: *mut u8) -> Link {
        // SAFETY: the element's words lie inside its structure.
        unsafe { element.add(self.link).cast() }
    }

    fn previous_link(self, element: *mut u8) -> *mut Link {
        // SAFETY: as above.
        unsafe { element.add(self.link + size_of::<usize>()).cast() }
    }

    /// Makes an empty queue.
    ///
    /// # Safety
    /// `head` must point to the structure with the head.
    pub(crate) unsafe fn init(self, head: *mut u8) {
        // SAFETY: as the caller says.
        unsafe {
            self.first_link(head).write(ptr::null_mut());
            self.last_link(head).write(self.first_link(head));
        }
    }

    /// The first element, or null.
    ///
    /// # Safety
    /// `head` must hold an initialised queue.
    pub(crate) unsafe fn first(self, head: *mut u8) -> *mut u8 {
        // SAFETY: as the caller says.
        unsafe { self.first_link(head).read() }
    }

    /// The element after `element`, or null.
    ///
    /// # Safety
    /// `element` must be on a queue.
    pub(crate) unsafe fn next(self, element: *mut u8) -> *mut u8 {
        // SAFETY: as the caller says.
        unsafe { self.next_link(element).read() }
    }

    /// Appends an element.
    ///
    /// # Safety
    /// `head` must hold an initialised queue, and `element` must be on none.
    pub(crate) unsafe fn push(self, head: *mut u8, element: *mut u8) {
        // SAFETY: as the caller says.
        unsafe {
            self.next_link(element).write(ptr::null_mut());
            self.previous_link(element).write(self.last_link(head).read());
            self.last_link(head).read().write(element);
            self.last_link(head).write(self.next_link(element));
        }
    }

    /// Puts `element` after `after`.
    ///
    /// # Safety
    /// `after` must be on the queue at `head`, and `element` on none.
    pub(crate) unsafe fn insert_after(self, head: *mut u8, after: *mut u8, element: *mut u8) {
        // SAFETY: as the caller says.
        unsafe {
            let next = self.next_link(after).read();
            self.next_link(element).write(next);
            if next.is_null() {
                self.last_link(head).write(self.next_link(element));
            } else {
                self.previous_link(next).write(self.next_link(element));
            }
            self.next_link(after).write(element);
            self.previous_link(element).write(self.next_link(after));
        }
    }

    /// Puts `element` first.
    ///
    /// # Safety
    /// As [`push`](Self::push).
    pub(crate) unsafe fn push_front(self, head: *mut u8, element: *mut u8) {
        // SAFETY: as the caller says.
        unsafe {
            let first = self.first(head);
            self.next_link(element).write(first);
            if first.is_null() {
                self.last_link(head).write(self.next_link(element));
            } else {
                self.previous_link(first).write(self.next_link(element));
            }
            self.first_link(head).write(element);
            self.previous_link(element).write(self.first_link(head));
        }
    }

    /// Takes an element off.
    ///
    /// # Safety
    /// `element` must be on the queue at `head`.
    pub(crate) unsafe fn remove(self, head: *mut u8, element: *mut u8) {
        // SAFETY: as the caller says.
        unsafe {
            let next = self.next_link(element).read();
            let previous = self.previous_link(element).read();
            if next.is_null() {
                self.last_link(head).write(previous);
            } else {
                self.previous_link(next).write(previous);
            }
            previous.write(next);
        }
    }
}

/// A list of buffers of a vnode: a head word, elements with next element and address of the link that points to them.
#[derive(Clone, Copy)]
pub(crate) struct List {
    /// Offset of the next-element word in an element.
    pub(crate) link: usize,
}

impl List {
    /// Puts `element` first on the list whose head word is at `head`.
    ///
    /// # Safety
    /// `head` must be a list's head word, and `element` on no list.
    pub(crate) unsafe fn push(self, head: *mut *mut u8, element: *mut u8) {
        // SAFETY: as the caller says.
        unsafe {
            let first = head.read();
            let next: Link = element.add(self.link).cast();
            let previous: *mut Link = element.add(self.link + size_of::<usize>()).cast();
            next.write(first);
            if !first.is_null() {
                first.add(self.link + size_of::<usize>()).cast::<Link>().write(next);
            }
            head.write(element);
            previous.write(head);
        }
    }

    /// Takes an element off its list.
    ///
    /// # Safety
    /// `element` must be on a list.
    pub(crate) unsafe fn remove(self, element: *mut u8) {
        // SAFETY: as the caller says.
        unsafe {
            let next = element.add(self.link).cast::<*mut u8>().read();
            let previous = element.add(self.link + size_of::<usize>()).cast::<Link>().read();
            if !next.is_null() {
                next.add(self.link + size_of::<usize>()).cast::<Link>().write(previous);
            }
            previous.write(next);
        }
    }
}

/// Rounds up to whole pages.
pub(crate) const fn round_page(bytes: u64) -> u64 {
    let page = constants::PAGE_SIZE as u64;
    bytes.saturating_add(page - 1) & !(page - 1)
}
