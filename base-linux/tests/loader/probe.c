/* What compiled code expects of a kernel beyond names. Each function answers 1 if it is there. */
#include "module.h"

static int per_cpu_variable __attribute__((section(".data..percpu"), used)) = 7;
extern unsigned long jiffies;
extern char __preempt_count, this_cpu_off;

/* A call with arguments in registers and on the stack. */
int variadic(void)
{
	char text[40];
	int len = snprintf(text, sizeof(text), "%d %d %d %d %d %d", 1, 2, 3, 4, 5, 6);
	return len == 11 && text[10] == '6' && text[11] == 0;
}
EXPORT(variadic);

/* The same with the stack 8 bytes lower: one of them calls with a stack that is aligned to 8 bytes only. */
asm(".text\n.globl variadic_lower\n.type variadic_lower, @function\nvariadic_lower:\n"
    "subq $8, %rsp\ncall variadic\naddq $8, %rsp\nret\n.size variadic_lower, . - variadic_lower");
EXPORT(variadic_lower);

int per_cpu(void)
{
	int value;
	unsigned long offset;
	unsigned count;
	asm volatile("movl %%gs:per_cpu_variable, %0" : "=r"(value));
	asm volatile("movq %%gs:this_cpu_off, %0" : "=r"(offset));
	asm volatile("movl %%gs:__preempt_count, %0" : "=r"(count));
	/* The variable through its address, and through the base. */
	return value == 7 && *(int *)((unsigned long)&per_cpu_variable + offset) == 7 && count == 0x80000000u;
}
EXPORT(per_cpu);

unsigned long canary(void)
{
	unsigned long value;
	asm volatile("movq %%gs:0x28, %0" : "=r"(value));
	return value;
}
EXPORT(canary);

unsigned long now(void)
{
	return *(volatile unsigned long *)&jiffies;
}
EXPORT(now);

/* Overruns a buffer that the stack protector guards. */
__attribute__((noinline)) static void fill(volatile char *buffer, int len)
{
	for (int i = 0; i < len; i++)
		buffer[i] = 0x41;
}

int overrun(int len)
{
	char buffer[16];
	fill(buffer, len);
	return buffer[3];
}
EXPORT(overrun);

int overflow(void)
{
	fortify_panic("memcpy");
	return 0;
}
EXPORT(overflow);

int damaged_list(void)
{
	struct list_head head = { &head, &head }, other = { &other, &other }, entry;
	return __list_add_valid(&entry, &head, &other);
}
EXPORT(damaged_list);

int deadlock(void)
{
	static unsigned long mutex[4];
	mutex_lock(mutex);
	mutex_unlock(mutex);
	mutex_lock(mutex);
	mutex_lock(mutex);
	return 0;
}
EXPORT(deadlock);

int free_twice(void)
{
	void *memory = __kmalloc(100, 0);
	kfree(memory);
	kfree(memory);
	return 0;
}
EXPORT(free_twice);

/* Memory is aligned, grows with its contents, and is limited. */
int allocations(void)
{
	char *page = __kmalloc(4096, 0), *small = __kmalloc(32, 0);
	if (!page || !small || ((unsigned long)page & 4095) || ((unsigned long)small & 31))
		return 0;
	small[0] = 'x';
	small = krealloc(small, 100000, 0);
	if (!small || small[0] != 'x' || small[99999] || __kmalloc(5 << 20, 0))
		return 0;
	kfree(page);
	kfree(small);
	kfree(__kmalloc(0, 0));
	kfree(0);
	return 1;
}
EXPORT(allocations);

int crash(void)
{
	return *(volatile int *)8;
}
EXPORT(crash);

int crash_in_the_kernel(void)
{
	return snprintf((char *)8, 64, "%d", 7) + 1;
}
EXPORT(crash_in_the_kernel);

int through_a_pointer(int (*function)(int), int value)
{
	return function(value) + 1;
}
EXPORT(through_a_pointer);

INIT int init_module(void)
{
	return 0;
}

EXIT void cleanup_module(void)
{
}
