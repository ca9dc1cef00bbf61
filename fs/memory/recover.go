package memory

import "os"

// recoverHandles finds the handles in use, and their blocks. It drops those that make
// no sense. Of two that share a block it drops both: the content is that of one of
// them, and nothing tells which.
func (m *Memory) recoverHandles(f *os.File) (err error) {
	shared := map[block]bool{}
	for s := range dataSections(f, section{handlesAt, handlesAt + maxHandles*recordSize}, &err) {
		for i := (s.from - handlesAt) / recordSize; i < (s.to-handlesAt)/recordSize; i++ {
			m.recoverHandle(int(i), shared)
		}
	}
	if len(shared) > 0 {
		m.dropShared(shared)
	}
	return err
}

func (m *Memory) recoverHandle(index int, shared map[block]bool) {
	r := m.recordAt(index)
	word := r.word.Load()
	if word&stateMask == stateFree {
		return
	}
	d := r.contentOf(word)
	if word>>generationShift == 0 || word&stateMask > stateOpen || !d.valid() {
		r.word.Store(stateFree)
		return
	}
	m.handles.claim(index)
	if d == 0 {
		return
	}
	if k := d.block(); !m.blocks[k.class].claim(k.index) {
		shared[k] = true
	}
}

func (m *Memory) dropShared(shared map[block]bool) {
	for index := range m.handles.members() {
		r := m.recordAt(index)
		if d := r.contentOf(r.word.Load()); d != 0 && shared[d.block()] {
			r.word.Store(stateFree)
			m.handles.put(index)
		}
	}
	for k := range shared {
		m.blocks.put(k)
	}
}
