/* Objects that programs allocate, their lists and trees.
 *
 * An object has a header before it.  Lists and trees are made of nodes inside of objects, under the lock that the verifier
 * sees held.  A tree is a treap whose priorities are made of the nodes' addresses, so that it needs no room for them. */
#include "kfunc.h"

struct object {
	struct object *next, *before; /* of all: who allocated it may be gone when a map ends */
	u32 size, uses;
	u64 padding;
	u8 data[];
};

static st_lock lock;
static struct object *all;

static struct object *header_of(const void *data) { return (struct object *)((u8 *)data - sizeof(struct object)); }

bool st_object_has(u64 address, u64 size)
{
	bool found = false;
	st_acquire(&lock);
	for (struct object *object = all; object && !found; object = object->next) {
		u64 offset = address - (u64)object->data;
		found = offset <= object->size && size <= object->size - offset;
	}
	st_release(&lock);
	return found;
}

/* bpf_obj_new(type, meta): zeroes */
KFUNC(bpf_obj_new_impl)
{
	const struct st_prog *prog = env->prog;
	u32 size = a < prog->type_count ? prog->type_sizes[a] : 0;
	struct object *made = size ? calloc(1, sizeof(*made) + size) : 0;
	if (!made)
		return 0;
	made->size = size;
	made->uses = 1;
	st_acquire(&lock);
	made->next = all;
	if (all)
		all->before = made;
	all = made;
	st_release(&lock);
	return (u64)made->data;
}

void st_object_drop(void *data)
{
	struct object *object = header_of(data);
	if (__atomic_sub_fetch(&object->uses, 1, __ATOMIC_ACQ_REL))
		return;
	st_acquire(&lock);
	if (object->before)
		object->before->next = object->next;
	else
		all = object->next;
	if (object->next)
		object->next->before = object->before;
	st_release(&lock);
	free(object);
}

KFUNC(bpf_obj_drop_impl)
{
	st_object_drop((void *)a);
	return 0;
}

KFUNC(bpf_refcount_acquire_impl)
{
	__atomic_add_fetch(&header_of((void *)a)->uses, 1, __ATOMIC_ACQ_REL);
	return a;
}

/* The object that a node lies in: drops it. */
static void drop_around(const void *node)
{
	void *found = 0;
	st_acquire(&lock);
	for (struct object *each = all; each && !found; each = each->next)
		if ((u64)node - (u64)each->data < each->size)
			found = each->data;
	st_release(&lock);
	if (found)
		st_object_drop(found);
}

/* A kernel pointer in a value that goes away: an allocated object, or the address of a kernel object, which no one owns. */
void st_kptr_release(struct st_map *map, const struct st_field *field, void *pointer)
{
	(void)map, (void)field;
	void *found = 0;
	st_acquire(&lock);
	for (struct object *each = all; each && !found; each = each->next)
		if (each->data == pointer)
			found = pointer;
	st_release(&lock);
	if (found)
		st_object_drop(found);
}

/* struct bpf_list_node, whose first two words are a struct bpf_list_head too: zeroes are a list of nothing */
struct node {
	struct node *next, *before;
	void *owner;
};

static void prepare(struct node *head)
{
	if (!head->next)
		head->next = head->before = head;
}

/* A node that is in a list already stays there, and its object loses the use that was to be given away. */
static u64 push(struct node *head, struct node *node, bool front)
{
	void *none = 0;
	if (!__atomic_compare_exchange_n(&node->owner, &none, (void *)head, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		drop_around(node);
		return (u64)-EINVAL;
	}
	prepare(head);
	struct node *before = front ? head : head->before;
	node->before = before;
	node->next = before->next;
	before->next->before = node;
	before->next = node;
	return 0;
}

static u64 pop(struct node *head, bool front)
{
	prepare(head);
	struct node *node = front ? head->next : head->before;
	if (node == head)
		return 0;
	node->before->next = node->next;
	node->next->before = node->before;
	node->next = node->before = 0;
	__atomic_store_n(&node->owner, 0, __ATOMIC_RELEASE);
	return (u64)node;
}

KFUNC(bpf_list_push_front_impl) { return push((struct node *)a, (struct node *)b, true); }
KFUNC(bpf_list_push_back_impl) { return push((struct node *)a, (struct node *)b, false); }
KFUNC(bpf_list_pop_front) { return pop((struct node *)a, true); }
KFUNC(bpf_list_pop_back) { return pop((struct node *)a, false); }

void st_list_release(void *head)
{
	for (u64 node; (node = pop(head, true));)
		drop_around((void *)node);
	memset(head, 0, 16);
}

/* struct bpf_rb_node; struct bpf_rb_root has the top in its first word */
struct branch {
	struct branch *parent, *left, *right;
	void *owner;
};

struct tree {
	struct branch *top;
	u64 unused;
};

static u64 priority(const struct branch *branch)
{
	u64 value = (u64)branch * 0x9e3779b97f4a7c15ull;
	return value ^ value >> 31;
}

static struct branch **link_of(struct tree *tree, struct branch *branch)
{
	struct branch *parent = branch->parent;
	return !parent ? &tree->top : parent->left == branch ? &parent->left : &parent->right;
}

/* `child`, which is below `parent`, goes above it. */
static void rotate(struct tree *tree, struct branch *parent, struct branch *child)
{
	struct branch *moved;
	*link_of(tree, parent) = child;
	child->parent = parent->parent;
	if (parent->left == child) {
		moved = parent->left = child->right;
		child->right = parent;
	} else {
		moved = parent->right = child->left;
		child->left = parent;
	}
	parent->parent = child;
	if (moved)
		moved->parent = parent;
}

/* bpf_rbtree_add(root, node, less, meta, offset) */
KFUNC(bpf_rbtree_add_impl)
{
	struct tree *tree = (struct tree *)a;
	struct branch *made = (struct branch *)b, **link = &tree->top, *parent = 0;
	void *none = 0;
	if (!__atomic_compare_exchange_n(&made->owner, &none, (void *)tree, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		drop_around(made);
		return (u64)-EINVAL;
	}
	while (*link) {
		parent = *link;
		link = st_callback(env, c, b, (u64)parent, 0, 0, 0) ? &parent->left : &parent->right;
	}
	made->parent = parent;
	made->left = made->right = 0;
	*link = made;
	while (made->parent && priority(made) > priority(made->parent))
		rotate(tree, made->parent, made);
	return 0;
}

KFUNC(bpf_rbtree_first)
{
	struct branch *branch = ((struct tree *)a)->top;
	while (branch && branch->left)
		branch = branch->left;
	return (u64)branch;
}

static u64 take(struct tree *tree, struct branch *branch)
{
	if (branch->owner != tree)
		return 0;
	while (branch->left || branch->right) {
		struct branch *left = branch->left, *right = branch->right;
		rotate(tree, branch, !right || (left && priority(left) > priority(right)) ? left : right);
	}
	*link_of(tree, branch) = 0;
	branch->parent = 0;
	__atomic_store_n(&branch->owner, 0, __ATOMIC_RELEASE);
	return (u64)branch;
}

/* bpf_rbtree_remove(root, node) */
KFUNC(bpf_rbtree_remove) { return take((struct tree *)a, (struct branch *)b); }

void st_tree_release(void *root)
{
	struct tree *tree = root;
	while (tree->top) {
		struct branch *branch = tree->top;
		take(tree, branch);
		drop_around(branch);
	}
	memset(root, 0, 16);
}
