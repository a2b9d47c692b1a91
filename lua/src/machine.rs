//! A state of Lua: its memory, its life, and the hook that looks at the time.

use crate::fiber::Fiber;
use crate::ground::{Doing, Ground};
use crate::limits::{
    HEAP_BYTES_MAX, HEAP_BYTES_SPARE, INSTRUCTION_BYTES_MAX, INSTRUCTIONS_PER_LOOK,
    LOAD_INSTRUCTIONS_MAX, SLICE_NANOSECONDS,
};
use crate::run::{Answer, Wish};
use crate::stack::{Callback, Kind, Raise, Stack};
use mlua_sys as ffi;
use std::alloc::{Layout, alloc, dealloc, realloc};
use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

/// Where in the stack the functions lie that every run needs.
pub(crate) const JUDGE: i32 = 1;
const MAIN: i32 = 2;
const FAIL: i32 = 3;
const FIXED: i32 = 3;

/// A state, and what its functions share.
#[derive(Debug)]
pub(crate) struct Machine {
    // Dropped first: the fiber's frames use the rest.
    fiber: Option<Fiber>,
    raw: NonNull<ffi::lua_State>,
    ground: NonNull<Ground>,
}

// SAFETY: nothing of Lua or of the ground belongs to a thread, and whoever has the machine is
// alone.
unsafe impl Send for Machine {}

impl Machine {
    /// An empty one, which runs `main`, sees errors with `judge`, and tells of them with `fail`.
    pub(crate) fn new(judge: Callback, main: Callback, fail: Callback) -> Self {
        let ground = Box::new(Ground::default());
        ground.heap.max.set(HEAP_BYTES_MAX);
        let ground = NonNull::from(Box::leak(ground));
        // SAFETY: the ground is freed after the state.
        let raw = unsafe { ffi::lua_newstate(allocate, ground.as_ptr().cast()) };
        let raw = NonNull::new(raw).expect("there is memory for an interpreter");
        // SAFETY: it lives, as was said.
        unsafe { ground.as_ref() }.heap.main.set(Some(raw));
        let mut machine = Self { fiber: None, raw, ground };
        let made = machine.protected(|stack| {
            // They are left on the state's own stack, below every call.
            for callback in [judge, main, fail] {
                stack.push_callback(callback, 0);
            }
            Ok([stack.keep(), stack.keep(), stack.keep()])
        });
        let numbers = made.expect("a new interpreter has memory for three functions");
        let mut stack = machine.stack();
        stack.reserve(20);
        for number in numbers.iter().rev() {
            stack.raw_get_at(crate::stack::REGISTRY, *number);
        }
        machine.watch();
        machine
    }

    /// Has the hook look again, after as many instructions as usual.
    pub(crate) fn watch(&mut self) {
        let (mask, count) = (ffi::LUA_MASKCOUNT, INSTRUCTIONS_PER_LOOK);
        // SAFETY: sets the hook.
        unsafe { ffi::lua_sethook(self.raw.as_ptr(), Some(look), mask, count) };
    }

    /// The stack below every call.
    fn stack(&mut self) -> Stack {
        // SAFETY: the state lives, and whoever has the machine is alone.
        unsafe { Stack::of(self.raw) }
    }

    pub(crate) fn ground(&self) -> &Ground {
        // SAFETY: it lives as long as the machine; all in it is in cells.
        unsafe { self.ground.as_ref() }
    }

    /// Runs `work` where errors end: the text of one that is raised.
    pub(crate) fn protected<R>(
        &mut self,
        work: impl FnOnce(&mut Stack) -> Result<R, Raise>,
    ) -> Result<R, Vec<u8>> {
        let mut task = Task { work: Some(work), result: None };
        let mut stack = self.stack();
        let fixed = stack.top();
        // SAFETY: `enter` gets a pointer to `task`, which it uses before this returns.
        let status =
            unsafe { ffi::lua_cpcall(self.raw.as_ptr(), enter_for(&task), (&raw mut task).cast()) };
        match task.result {
            Some(result) if status == ffi::LUA_OK => Ok(result),
            _ => {
                let text = error_text(&mut stack);
                stack.set_top(fixed);
                Err(text)
            }
        }
    }

    /// Runs what was prepared, up to its next wish.
    pub(crate) fn go_on(&mut self, answer: Answer) -> Wish {
        let fiber = match &mut self.fiber {
            Some(fiber) => fiber,
            None => {
                let (raw, ground) = (self.raw, self.ground);
                // SAFETY: the fiber is dropped before the state and the ground are.
                let (link, mut stack) = unsafe { (&ground.as_ref().link, Stack::of(raw)) };
                let fiber = Fiber::new(link, move || run(&mut stack));
                self.fiber.insert(fiber.expect("there is memory for a stack"))
            }
        };
        fiber.go_on(answer)
    }

    /// Collects all garbage.
    pub(crate) fn collect(&mut self) {
        self.stack().collect();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.fiber.take());
        // SAFETY: nobody uses the state or the ground any more.
        unsafe {
            ffi::lua_close(self.raw.as_ptr());
            drop(Box::from_raw(self.ground.as_ptr()));
        }
    }
}

/// The text of the error on top, its code first if it is a table.
fn error_text(stack: &mut Stack) -> Vec<u8> {
    if stack.kind(-1) != Kind::Table {
        return stack.text(-1).unwrap_or(b"unknown error").to_vec();
    }
    // To find it may take the memory of a short text.
    let heap = &stack.ground().heap;
    heap.max.set(HEAP_BYTES_MAX + HEAP_BYTES_SPARE);
    stack.raw_get_field(-1, "err");
    heap.max.set(HEAP_BYTES_MAX);
    stack.text(-1).unwrap_or(b"ERR unknown error").to_vec()
}

/// Runs the main function, and tells of the error that it ends with.
fn run(stack: &mut Stack) {
    use crate::stack::Ended;
    stack.push_value(MAIN);
    if stack.try_call(0, 0, JUDGE) != Ended::Well {
        let heap = &stack.ground().heap;
        heap.max.set(HEAP_BYTES_MAX + HEAP_BYTES_SPARE);
        stack.push_value(FAIL);
        stack.insert(-2);
        if stack.try_call(1, 0, 0) != Ended::Well {
            stack.ground().reply.with(|reply| {
                reply.clear();
                reply.extend_from_slice(b"-ERR not enough memory\r\n");
            });
        }
        stack.ground().heap.max.set(HEAP_BYTES_MAX);
    }
    stack.set_top(FIXED);
}

/// What `protected` does, and what came of it.
struct Task<F, R> {
    work: Option<F>,
    result: Option<R>,
}

/// The function that does a task of this type.
fn enter_for<F, R>(_: &Task<F, R>) -> ffi::lua_CFunction
where
    F: FnOnce(&mut Stack) -> Result<R, Raise>,
{
    enter::<F, R>
}

unsafe extern "C-unwind" fn enter<F, R>(raw: *mut ffi::lua_State) -> c_int
where
    F: FnOnce(&mut Stack) -> Result<R, Raise>,
{
    // SAFETY: `protected` passes a task of this type, and waits.
    unsafe {
        let task = &mut *ffi::lua_touserdata(raw, 1).cast::<Task<F, R>>();
        ffi::lua_settop(raw, 0);
        let work = task.work.take().expect("a task is done once");
        match work(&mut Stack::of(NonNull::new_unchecked(raw))) {
            Ok(result) => {
                task.result = Some(result);
                0
            }
            Err(Raise) => ffi::lua_error(raw),
        }
    }
}

/// Every so many instructions: looks at the time, and ends what is to end.
unsafe extern "C-unwind" fn look(raw: *mut ffi::lua_State, _: *mut ffi::lua_Debug) {
    // SAFETY: Lua calls this with the state that runs. The next look comes as late as usual.
    let raised = unsafe {
        ffi::lua_sethook(raw, Some(look), ffi::LUA_MASKCOUNT, INSTRUCTIONS_PER_LOOK);
        is_ended(&mut Stack::of(NonNull::new_unchecked(raw)))
    };
    if raised {
        // SAFETY: the error lies on top, and no frame of ours owns anything.
        unsafe { ffi::lua_error(raw) };
    }
}

/// True if the run is to end: the text of its error is on top.
fn is_ended(stack: &mut Stack) -> bool {
    let ground = stack.ground();
    if ground.stops.get() {
        stop(stack, b"stopped");
        return true;
    }
    match ground.doing.get() {
        Doing::Nothing => return false,
        Doing::Loading(count) => {
            let count = count + INSTRUCTIONS_PER_LOOK.unsigned_abs();
            ground.doing.set(Doing::Loading(count));
            if count < LOAD_INSTRUCTIONS_MAX {
                return false;
            }
            stop(stack, b"FUNCTION LOAD timeout");
            return true;
        }
        Doing::Script | Doing::Function => {}
    }
    let Some(meter) = ground.meter.get() else { return false };
    let now = meter().max(1);
    match ground.slice.get() {
        0 => {
            ground.slice.set(now);
            return false;
        }
        began if now.saturating_sub(began) < SLICE_NANOSECONDS => return false,
        _ => {}
    }
    let answer = ground.link.ask(Wish::Pause);
    ground.slice.set(0);
    match answer {
        Answer::Stop(text) => {
            ground.scratch.with(|scratch| *scratch = text);
            ground.scratch.with(|text| stop(stack, text));
            true
        }
        _ => false,
    }
}

/// Has the run end: every further instruction raises an error, so that nothing catches the first
/// for long. Puts its text on top. Raises.
pub(crate) fn stop(stack: &mut Stack, text: &[u8]) {
    stack.ground().stops.set(true);
    // SAFETY: sets the hook of this thread of Lua. Others that wait for it to return have theirs
    // look after some instructions.
    unsafe { ffi::lua_sethook(stack.raw(), Some(look), ffi::LUA_MASKCOUNT, 1) };
    stack.push(text);
}

/// Has the next instruction look at the time, if this one has handled so many bytes.
pub(crate) fn hurry(stack: &mut Stack, bytes: usize) {
    if bytes >= INSTRUCTION_BYTES_MAX {
        // SAFETY: sets the hook of the thread that runs.
        unsafe { ffi::lua_sethook(stack.raw(), Some(look), ffi::LUA_MASKCOUNT, 1) };
    }
}

/// Lua's memory: from the global allocator, up to a limit.
unsafe extern "C" fn allocate(
    ground: *mut c_void,
    old: *mut c_void,
    old_len: usize,
    new_len: usize,
) -> *mut c_void {
    const ALIGN: usize = 16;
    // SAFETY: Lua says truly how long `old` is, the ground outlives the state, layouts of lengths
    // below the limit are valid, and the main thread lives as long as anything is allocated.
    unsafe {
        let heap = &(*ground.cast::<Ground>()).heap;
        let layout = |len| Layout::from_size_align_unchecked(len, ALIGN);
        let old_len = if old.is_null() { 0 } else { old_len };
        let used = heap.used.get() - old_len;
        if new_len == 0 {
            if old_len > 0 {
                dealloc(old.cast(), layout(old_len));
            }
            heap.used.set(used);
            return std::ptr::null_mut();
        }
        if new_len > old_len && new_len.saturating_add(used) > heap.max.get() {
            return std::ptr::null_mut();
        }
        if new_len >= INSTRUCTION_BYTES_MAX
            && let Some(main) = heap.main.get()
        {
            // To set a hook is allowed at any time.
            ffi::lua_sethook(main.as_ptr(), Some(look), ffi::LUA_MASKCOUNT, 1);
        }
        let new = match old_len {
            0 => alloc(layout(new_len)),
            _ => realloc(old.cast(), layout(old_len), new_len),
        };
        if !new.is_null() {
            heap.used.set(used + new_len);
        }
        new.cast()
    }
}
