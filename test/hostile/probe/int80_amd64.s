#include "textflag.h"

// func int80(nr, a, b, c, d, e, f uint32) int32
TEXT ·int80(SB), NOSPLIT, $0-36
	MOVL nr+0(FP), AX
	MOVL a+4(FP), BX
	MOVL b+8(FP), CX
	MOVL c+12(FP), DX
	MOVL d+16(FP), SI
	MOVL e+20(FP), DI
	MOVL f+24(FP), R12
	MOVQ BP, R13
	MOVL R12, BP
	INT  $0x80
	MOVQ R13, BP
	MOVL AX, ret+32(FP)
	RET
