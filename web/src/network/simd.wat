;; Convolutions of bytes, channels last: sums of products of 16-bit numbers, then a factor, a clamp and a rounding.
;; simd_kernel.ts lays out the memory.
(module
  (import "env" "memory" (memory 1))

  ;; Make `count` bytes at `from` 16-bit numbers at `to`. count: a multiple of 8, or a few more are made.
  (func (export "widen") (param $from i32) (param $to i32) (param $count i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $from) (local.get $count)))
    (loop $next
      (if (i32.lt_u (local.get $from) (local.get $end))
        (then
          (v128.store (local.get $to) (v128.load8x8_u (local.get $from)))
          (local.set $from (i32.add (local.get $from) (i32.const 8)))
          (local.set $to (i32.add (local.get $to) (i32.const 16)))
          (br $next)))))

  ;; Eight outputs of four positions that stand side by side.
  ;; x: the first number that the first position sees. across, down: bytes from a position to the next one, and from a row
  ;; to the next one. rows: of the kernel. pairs: of numbers in a row of it. w: weights, (rows, pairs, 8 outputs, 2).
  ;; bias, factor: of the eight. y: of the first position; wide: bytes to that of the next one.
  (func (export "tile")
    (param $x i32) (param $across i32) (param $down i32) (param $rows i32) (param $pairs i32) (param $w i32)
    (param $bias i32) (param $factor i32) (param $y i32) (param $wide i32)
    (local $at i32) (local $end i32) (local $one i32) (local $two i32) (local $three i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local $e v128) (local $f v128) (local $g v128) (local $h v128)
    (local $u v128) (local $v v128) (local $s v128)
    (local.set $a (local.tee $c (local.tee $e (local.tee $g (v128.load (local.get $bias))))))
    (local.set $b (local.tee $d (local.tee $f (local.tee $h (v128.load offset=16 (local.get $bias))))))
    (local.set $one (local.get $across))
    (local.set $two (i32.shl (local.get $across) (i32.const 1)))
    (local.set $three (i32.add (local.get $two) (local.get $across)))
    (loop $row
      (local.set $at (local.get $x))
      (local.set $end (i32.add (local.get $x) (i32.shl (local.get $pairs) (i32.const 2))))
      (loop $pair
        (local.set $u (v128.load (local.get $w)))
        (local.set $v (v128.load offset=16 (local.get $w)))
        (local.set $s (v128.load32_splat (local.get $at)))
        (local.set $a (i32x4.add (local.get $a) (i32x4.dot_i16x8_s (local.get $s) (local.get $u))))
        (local.set $b (i32x4.add (local.get $b) (i32x4.dot_i16x8_s (local.get $s) (local.get $v))))
        (local.set $s (v128.load32_splat (i32.add (local.get $at) (local.get $one))))
        (local.set $c (i32x4.add (local.get $c) (i32x4.dot_i16x8_s (local.get $s) (local.get $u))))
        (local.set $d (i32x4.add (local.get $d) (i32x4.dot_i16x8_s (local.get $s) (local.get $v))))
        (local.set $s (v128.load32_splat (i32.add (local.get $at) (local.get $two))))
        (local.set $e (i32x4.add (local.get $e) (i32x4.dot_i16x8_s (local.get $s) (local.get $u))))
        (local.set $f (i32x4.add (local.get $f) (i32x4.dot_i16x8_s (local.get $s) (local.get $v))))
        (local.set $s (v128.load32_splat (i32.add (local.get $at) (local.get $three))))
        (local.set $g (i32x4.add (local.get $g) (i32x4.dot_i16x8_s (local.get $s) (local.get $u))))
        (local.set $h (i32x4.add (local.get $h) (i32x4.dot_i16x8_s (local.get $s) (local.get $v))))
        (local.set $w (i32.add (local.get $w) (i32.const 32)))
        (br_if $pair (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (local.get $end))))
      (local.set $x (i32.add (local.get $x) (local.get $down)))
      (br_if $row (local.tee $rows (i32.sub (local.get $rows) (i32.const 1)))))
    (local.set $u (v128.load (local.get $factor)))
    (local.set $v (v128.load offset=16 (local.get $factor)))
    (call $put (local.get $y) (local.get $a) (local.get $b) (local.get $u) (local.get $v))
    (call $put (i32.add (local.get $y) (local.get $wide)) (local.get $c) (local.get $d) (local.get $u) (local.get $v))
    (local.set $y (i32.add (local.get $y) (i32.shl (local.get $wide) (i32.const 1))))
    (call $put (local.get $y) (local.get $e) (local.get $f) (local.get $u) (local.get $v))
    (call $put (i32.add (local.get $y) (local.get $wide)) (local.get $g) (local.get $h) (local.get $u) (local.get $v)))

  ;; Eight sums as bytes.
  (func $put (param $y i32) (param $a v128) (param $b v128) (param $u v128) (param $v v128)
    (local $low v128)
    (local.set $low
      (i16x8.narrow_i32x4_s
        (call $rounded (local.get $a) (local.get $u))
        (call $rounded (local.get $b) (local.get $v))))
    (v128.store64_lane 0 (local.get $y) (i8x16.narrow_i16x8_u (local.get $low) (local.get $low))))

  (func $rounded (param $sums v128) (param $factors v128) (result v128)
    (i32x4.trunc_sat_f32x4_s
      (f32x4.nearest
        (f32x4.min
          (f32x4.max
            (f32x4.mul (f32x4.convert_i32x4_s (local.get $sums)) (local.get $factors))
            (v128.const f32x4 0 0 0 0))
          (v128.const f32x4 255 255 255 255))))))
