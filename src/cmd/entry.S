/* entry.S - where the kernel enters the static program, before the C library.
 *
 * Its relocation and the first steps of a run touch some forty pages one by one, and on guests without
 * nested paging a page fault costs more than ten system calls. Two calls make them present: the data for
 * writing, the rest for reading. Hints: a kernel before 5.14 refuses, and nothing is lost. Then the
 * C library's own entry follows, with registers and stack as the kernel left them.
 */
#define POPULATE_READ 22
#define POPULATE_WRITE 23

    .text
    .globl postern_entry
    .type postern_entry, %function

#if defined(__x86_64__)

#define SYS_MADVISE 28

postern_entry:
    lea __init_array_start(%rip), %rdi
    and $-4096, %rdi
    lea __bss_start(%rip), %rsi
    sub %rdi, %rsi
    mov $POPULATE_WRITE, %edx
    mov $SYS_MADVISE, %eax
    syscall
    lea __executable_start(%rip), %rdi
    lea __init_array_start(%rip), %rsi
    sub %rdi, %rsi
    mov $POPULATE_READ, %edx
    mov $SYS_MADVISE, %eax
    syscall
    xor %edx, %edx /* no function to be called at the end */
    jmp _start

#elif defined(__aarch64__)

#define SYS_MADVISE 233

postern_entry:
    adrp x0, __init_array_start
    adrp x1, __bss_start
    add x1, x1, :lo12:__bss_start
    sub x1, x1, x0
    mov x2, #POPULATE_WRITE
    mov x8, #SYS_MADVISE
    svc #0
    adrp x0, __executable_start
    adrp x1, __init_array_start
    add x1, x1, :lo12:__init_array_start
    sub x1, x1, x0
    mov x2, #POPULATE_READ
    mov x8, #SYS_MADVISE
    svc #0
    mov x0, #0 /* no function to be called at the end */
    b _start

#endif

    .size postern_entry, . - postern_entry
    .section .note.GNU-stack, "", %progbits
