"""Reading the work of a compiled program from its text."""

from seqline.components.train.preflight.program import read_program

PROGRAM = """\
HloModule step, is_scheduled=true

%sum (a: f32[], b: f32[]) -> f32[] {
  %a = f32[]{:T(128)} parameter(0)
  %b = f32[]{:T(128)} parameter(1)
  ROOT %add = f32[]{:T(128)} add(%a, %b)
}

%slice_of (table: f32[64,1024], at: s32[]) -> f32[1,1024] {
  %table = f32[64,1024]{1,0:T(8,128)} parameter(0)
  %at = s32[]{:T(128)} parameter(1)
  ROOT %taken = f32[1,1024]{1,0:T(1,128)} dynamic-slice(%table, %at, %at), dynamic_slice_sizes={1,1024}
}

%condition (state: (s32[], f32[64,1024])) -> pred[] {
  %state = (s32[]{:T(128)}, f32[64,1024]{1,0:T(8,128)}) parameter(0)
  %end = s32[]{:T(128)} constant(64)
  %number = s32[]{:T(128)} get-tuple-element(%state), index=0
  ROOT %less = pred[]{:T(512)} compare(%number, %end), direction=LT
}

%body (state.1: (s32[], f32[64,1024])) -> (s32[], f32[64,1024]) {
  %state.1 = (s32[]{:T(128)}, f32[64,1024]{1,0:T(8,128)}) parameter(0)
  %number.1 = s32[]{:T(128)S(6)} get-tuple-element(%state.1), index=0
  %table.1 = f32[64,1024]{1,0:T(8,128)} get-tuple-element(%state.1), index=1
  %row = f32[1,1024]{1,0:T(1,128)S(1)} fusion(%table.1, %number.1), kind=kLoop, calls=%slice_of, \
backend_config={"window_config":{"estimated_cycles":"10"}}
  ROOT %next = (s32[]{:T(128)}, f32[64,1024]{1,0:T(8,128)}) tuple(%number.1, %table.1)
}

ENTRY %main (left: f32[64,1024]) -> f32[64,1024] {
  %left = f32[64,1024]{1,0:T(8,128)} parameter(0)
  %zero = s32[]{:T(128)} constant(0)
  %start = (s32[]{:T(128)}, f32[64,1024]{1,0:T(8,128)}) tuple(%zero, %left)
  %loop = (s32[]{:T(128)}, f32[64,1024]{1,0:T(8,128)}) while(%start), condition=%condition, body=%body, \
metadata={op_name="loss/while"}
  %table.2 = f32[64,1024]{1,0:T(8,128)} get-tuple-element(%loop), index=1
  %negated = f32[64,1024]{1,0:T(8,128)S(1)} negate(%table.2), \
backend_config={"window_config":{"estimated_cycles":"1000"}}
  ROOT %summed = f32[64,1024]{1,0:T(8,128)S(1)} all-reduce(%negated), replica_groups={{0,1}}, to_apply=%sum
}
"""
TABLE, ROW = 64 * 1024 * 4, 1024 * 4


def test_a_loop_counts_as_often_as_it_runs() -> None:
    work = read_program(PROGRAM)
    assert work.loops == {"loss/while": 64}
    assert work.cycles == 64 * 10 + 1000


def test_only_what_moves_to_or_from_hbm_is_counted_and_of_a_sliced_table_only_the_slices() -> None:
    assert read_program(PROGRAM).hbm_bytes == 64 * ROW + TABLE


def test_sums_over_replicas_are_counted_in_every_memory() -> None:
    work = read_program(PROGRAM)
    assert (work.all_reduces, work.reduced_bytes) == (1, TABLE)
