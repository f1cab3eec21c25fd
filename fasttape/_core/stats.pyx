"""What a program costs: its work and its memory, counted on its plan.

An array that passes between the members of a run, or the operations of a loop's body, does not go through memory; all
else is read where it is used and written where it is made.
"""
from fasttape._core.entries cimport operands_of
from fasttape._core.listing cimport runs_of
from fasttape._core.loops cimport Loop
from fasttape._core.program cimport Program
from fasttape._core.record cimport *
from fasttape._core.state cimport State

cdef set FREE = {OP_positive, OP_stop_gradient, OP_cast}    # no arithmetic


cdef class Counter:
    """The sums, while the entries are walked over."""
    cdef Tape tape
    cdef int64_t flops, read, written
    cdef dict run                   # entry -> its run
    cdef set fed                    # (run, node) that has been counted
    cdef set outside                # members of runs that something beyond their run reads

    cdef int64_t bytes_of(self, int32_t node):
        """Numbers are held in float64."""
        cdef ft_entry *e = self.tape.t.entry + node
        return size_of(self.tape, node) * itemsize(e.dtype) if e.shape else 8

    cdef int count_member(self, int32_t i) except -1:
        cdef int32_t o
        cdef object r = self.run[i]
        for o in operands_of(self.tape, i):
            if self.tape.t.entry[o].op != OP_constant and self.run.get(o) != r and (r, o) not in self.fed:
                self.fed.add((r, o))
                self.read += self.bytes_of(o)
        if i in self.outside:
            self.written += self.bytes_of(i)
        return 0

    cdef int count_loop(self, int32_t i) except -1:
        cdef Loop loop = self.tape.loops[self.tape.t.args[self.tape.t.entry[i].aux]]
        cdef int32_t k
        cdef int64_t size
        for k in range(loop.code.n_op):
            if loop.code.op[k].op < FT_N_MAP:
                self.flops += loop.count * work_of(loop.code.op[k].op)
        for k in range(loop.code.n_stream):
            size = (loop.count if loop.code.stride[k] else 1) * (4 if loop.code.stream_f32[k] else 8)
            if loop.stream[k] < 0:
                self.written += size
            elif self.tape.t.entry[loop.stream[k]].op != OP_constant:
                self.read += size
        for k in range(loop.code.n_carry):
            if self.tape.t.entry[loop.first[k]].op != OP_constant:
                self.read += 8
            if loop.last[k] >= 0:
                self.written += 8
        return 0

    cdef int count_work(self, int32_t i) except -1:
        cdef ft_entry *e = self.tape.t.entry + i
        if e.op < FT_N_MAP:
            self.flops += size_of(self.tape, i) * work_of(e.op)
        elif e.op == OP_sum or e.op == OP_max or e.op == OP_min or e.op == OP_put_add:
            self.flops += size_of(self.tape, e.a)
        elif e.op == OP_matmul:
            self.flops += 2 * size_of(self.tape, i) * dims_of(self.tape, e.a)[ndim_of(self.tape, e.a) - 1]
        elif e.op == OP_add_region:
            self.flops += size_of(self.tape, e.b)
        elif e.op == OP_add_at:
            self.flops += 1
        return 0

    cdef int count_traffic(self, int32_t i) except -1:
        """Of an entry that is in no run."""
        cdef ft_entry *e = self.tape.t.entry + i
        cdef int32_t o
        cdef int width = itemsize(e.dtype)
        if e.op == OP_loop:
            return 0 if e.a else self.count_loop(i)
        if e.op == OP_get:
            self.read += itemsize(self.tape.t.entry[e.a].dtype)
            self.written += 8
        elif e.op == OP_add_at or e.op == OP_set_at or e.op == OP_add_region or e.op == OP_update:
            self.read += self.bytes_of(e.b)
            self.written += size_of(self.tape, e.b) * width
            if e.op == OP_add_at or e.op == OP_add_region:
                self.read += size_of(self.tape, e.b) * width
        else:
            for o in operands_of(self.tape, i):
                if self.tape.t.entry[o].op != OP_constant and (e.op != OP_take or o != e.a):
                    self.read += self.bytes_of(o)
            self.written += self.bytes_of(i)
            if e.op == OP_take:             # what it picks out
                self.read += self.bytes_of(i)
            elif e.op == OP_put_add:        # zeros first, then each place is read and written
                self.read += self.bytes_of(e.a)
                self.written += self.bytes_of(e.a)
        return 0


cdef inline int work_of(int op):
    return 0 if op in FREE else 2 if op == OP_add_scaled else 1


cdef dict buffers_of(Tape tape, int64_t n_input, set alive):
    """Address -> bytes of the memory for values that are neither arguments nor results."""
    cdef dict out = {}
    cdef int32_t i
    cdef int64_t size
    for i in alive:
        if i >= n_input and tape.t.entry[i].shape and not tape.t.entry[i].flags & FT_FIXED:
            size = size_of(tape, i) * itemsize(tape.t.entry[i].dtype)
            out[<size_t>tape.t.val[i].p] = max(size, out.get(<size_t>tape.t.val[i].p, 0))
    return out


cdef int64_t constant_bytes(Program p):
    cdef Tape tape = p.tape
    cdef ft_entry *e
    cdef int64_t i, total = 0
    for i in range(tape.t.n):
        e = tape.t.entry + i
        if e.op == OP_constant:
            total += 8
        elif e.op == OP_input and i >= p.n_input:
            total += size_of(tape, <int32_t>i) * itemsize(e.dtype)
    return total


def stats(Program p):
    """The fields of `inspect.Stats`, by name."""
    cdef State s = p.begin()
    cdef Tape tape = s.tape
    cdef Counter c = Counter.__new__(Counter)
    cdef int32_t i, o
    cdef int64_t k
    try:
        c.tape = tape
        c.run, c.fed, c.outside = runs_of(s), set(), set()
        needed = [i for i in range(tape.t.n) if tape.t.entry[i].flags & FT_NEED]
        results = {root_of(tape, p.outputs[k]) for k in range(p.n_output)}
        for i in needed:
            if i in c.run and (i in results or tape.t.entry[i].shape == 0):
                c.outside.add(i)
            for o in operands_of(tape, i):
                o = root_of(tape, o)
                if o in c.run and c.run.get(i) != c.run[o]:
                    c.outside.add(o)
        for i in needed:
            c.count_work(i)
            if i in c.run:
                c.count_member(i)
            else:
                c.count_traffic(i)
        for k in range(tape.n_instr):
            if tape.instr[k].op == FT_I_COPY:
                c.read += c.bytes_of(tape.instr[k].node)
                c.written += c.bytes_of(tape.instr[k].node)
        buffers = buffers_of(tape, p.n_input, {i for i in needed if i not in c.run or i in c.outside})
        return {"recorded": p.recorded, "kept": p.kept, "entries": p.tape.t.n, "instructions": tape.n_instr,
                "runs": sum([tape.instr[k].op == FT_I_RUN for k in range(tape.n_instr)]), "loops": len(tape.loops),
                "flops": c.flops, "bytes_read": c.read, "bytes_written": c.written, "buffers": len(buffers),
                "buffer_bytes": sum(buffers.values()) + tape.cap_scratch, "constant_bytes": constant_bytes(p),
                "guards": len(p.guards), "states": len(p.states) + 1}
    finally:
        p.end(s)
