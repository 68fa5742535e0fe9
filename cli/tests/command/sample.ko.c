/* A Linux module that says all that one can say of itself. */
#define INFO(name, text) \
	static const char info_##name[] __attribute__((section(".modinfo"), used, aligned(1))) = text

INFO(name, "name=sample");
INFO(vermagic, "vermagic=6.1.0-0-test SMP mod_unload ");
INFO(license, "license=Dual BSD/GPL");
INFO(depends, "depends=first,second");
INFO(softdep, "softdep=pre: early post: late");
INFO(alias, "alias=fs-sample");
INFO(other_alias, "alias=pci:v0000*");
INFO(import_ns, "import_ns=CRYPTO");
INFO(parmtype, "parmtype=level:int");
INFO(parm, "parm=level:How loud");

struct version {
	unsigned long crc;
	char name[64 - sizeof(unsigned long)];
};
static const struct version versions[] __attribute__((section("__versions"), used)) = {
	{ 0x12345678, "wanted" },
};

/* Entries of the export tables are relative to themselves. */
#define EXPORT(suffix, symbol, space, crc)                                                                 \
	__asm__(".pushsection \"__ksymtab_strings\", \"aMS\", @progbits, 1\n"                                     \
	    "name_" #symbol ": .asciz \"" #symbol "\"\nspace_" #symbol ": .asciz \"" space "\"\n.popsection\n" \
	    ".pushsection \"__ksymtab" suffix "\", \"a\"\n.balign 4\n"                                            \
	    ".long " #symbol " - .\n.long name_" #symbol " - .\n.long space_" #symbol " - .\n.popsection\n"    \
	    ".pushsection \"__kcrctab" suffix "\", \"a\"\n.balign 4\n.long " crc "\n.popsection")

int wanted(int);
extern int optional __attribute__((weak));

int offered;
EXPORT("", offered, "", "0x11");

int
offered_to_gpl(int value)
{
	return wanted(value) + (&optional ? optional : 0);
}
EXPORT("_gpl", offered_to_gpl, "SAMPLE", "0x22");

int
init_module(void)
{
	return 0;
}

void
cleanup_module(void)
{
}

static struct {
	char before[64];
	int (*init)(void);
	void (*exit)(void);
} this_module __attribute__((section(".gnu.linkonce.this_module"), used)) = {
	.init = init_module,
	.exit = cleanup_module,
};
