/*
 * What makes a C file a module in the form that stock Linux modules have. Names come from the command line: NAME, and DEPENDS.
 */
typedef unsigned long size_t;

#define TEXT_(...) #__VA_ARGS__
#define TEXT(...) TEXT_(__VA_ARGS__)
#define INFO(name, text) \
	static const char info_##name[] __attribute__((section(".modinfo"), used, aligned(1))) = #name "=" text
#define PARAMETER(variable, kind) \
	static const struct kernel_param param_##variable __attribute__((section("__param"), used, aligned(8))) = { \
		#variable, 0, &param_ops_##kind, 0, 0, 0, &variable }
/* An entry of the export table, as kernels with position-relative entries have it. */
#define EXPORT_IN(table, symbol) \
	asm(".pushsection \"__ksymtab_strings\", \"aMS\", @progbits, 1\n" \
	    "kstrtab_" #symbol ": .asciz \"" #symbol "\"\nkstrtabns_" #symbol ": .asciz \"\"\n.popsection\n" \
	    ".pushsection \"" table "\", \"a\"\n.balign 4\n" \
	    ".long " #symbol " - .\n.long kstrtab_" #symbol " - .\n.long kstrtabns_" #symbol " - .\n.popsection")
#define EXPORT(symbol) EXPORT_IN("__ksymtab", symbol)
#define EXPORT_GPL(symbol) EXPORT_IN("__ksymtab_gpl", symbol)
#define INIT __attribute__((section(".init.text"), cold))
#define EXIT __attribute__((section(".exit.text"), cold))

struct kernel_param_ops {
	unsigned flags;
	int (*set)(const char *, const void *);
	int (*get)(char *, const void *);
	void (*free)(void *);
};
struct kernel_param {
	const char *name;
	void *mod;
	const struct kernel_param_ops *ops;
	unsigned short perm;
	signed char level;
	unsigned char flags;
	void *arg;
};
struct list_head {
	struct list_head *next, *prev;
};
/* The loader finds both routines by the relocations, whatever lies around them. */
struct module {
	char before[64];
	int (*init)(void);
	char between[64];
	void (*exit)(void);
};

extern const struct kernel_param_ops param_ops_int, param_ops_charp, param_ops_bool;
extern struct module __this_module;
int _printk(const char *, ...);
int snprintf(char *, size_t, const char *, ...);
void *__kmalloc(size_t, unsigned);
void *krealloc(const void *, size_t, unsigned);
void kfree(const void *);
void *memcpy(void *, const void *, size_t);
void fortify_panic(const char *);
_Bool __list_add_valid(struct list_head *, struct list_head *, struct list_head *);
void mutex_lock(void *);
void mutex_unlock(void *);
int __register_nls(void *, struct module *);
void get_random_bytes(void *, int);

#ifndef LICENSE
#define LICENSE "GPL"
#endif
#ifndef VERMAGIC
#define VERMAGIC "6.1.0-0-amd64 SMP preempt mod_unload "
#endif
#ifdef DEPENDS
INFO(depends, TEXT(DEPENDS));
#else
INFO(depends, "");
#endif
INFO(license, LICENSE);
INFO(name, TEXT(NAME));
INFO(vermagic, VERMAGIC);

int init_module(void);
void cleanup_module(void);
struct module __this_module __attribute__((section(".gnu.linkonce.this_module"), used)) = {
#ifndef NO_INIT
	.init = init_module,
#endif
#ifndef NO_EXIT
	.exit = cleanup_module,
#endif
};
