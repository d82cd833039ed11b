"""The faults that tests/mutants.py puts into the code, each with the test that must fail."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """`old`, which occurs once in `file`, becomes `new`; `test` must fail."""

    what: str
    file: str
    old: str
    new: str
    test: str


FAULTS = (
    # ---- the order of samples
    Fault(
        "order: a source's epochs begin one sequence late",
        "data/phases/reading.py",
        "epochs, j = divmod(i + self.place, self.size)",
        "epochs, j = divmod(i + self.place + 1, self.size)",
        "tests/data/test_order.py::test_the_order_of_published_runs_never_changes",
    ),
    Fault(
        "order: a rank's micro-batches overlap the next rank's",
        "data/order.py",
        "micro * micro_batch * dp_size + dp_rank",
        "micro * micro_batch + dp_rank",
        "tests/data/test_order.py::test_the_ranks_share_a_global_batch_without_gap_or_overlap",
    ),
    Fault(
        "order: a skipped range is one sample too short",
        "data/phases/kept.py",
        "self._lost.append(self._lost[-1] + b - a)",
        "self._lost.append(self._lost[-1] + b - a - 1)",
        "tests/data/test_order.py::test_skipped_samples_are_omitted_and_the_rest_is_unchanged",
    ),
    Fault(
        "order: weights are rounded to whole percents",
        "data/order.py",
        "Fraction(Decimal(str(weight)))",
        "Fraction(round(Decimal(str(weight))))",
        "tests/data/test_order.py::test_the_block_of_table_1_is_200",
    ),
    Fault(
        "loader: labels are the inputs",
        "data/loader.py",
        "return tokens[:, :-1], tokens[:, 1:]",
        "return tokens[:, :-1], tokens[:, :-1]",
        "tests/data/test_loader.py::test_a_step_is_the_same_samples_on_any_ranks_micro_batches_and_workers",
    ),
    # ---- token stores
    Fault(
        "store: sequences do not share their border token",
        "data/tokens/store.py",
        "return self.read(seq_len * i, seq_len * i + seq_len + 1)",
        "return self.read((seq_len + 1) * i, (seq_len + 1) * i + seq_len + 1)",
        "tests/data/tokens/test_store.py::test_sequences_share_one_token_and_leave_less_than_one_sequence_over",
    ),
    Fault(
        "store: a shard's content is not verified",
        "data/tokens/store.py",
        'self._check_content(shard["file"], shard["xxh3"])',
        "pass",
        "tests/data/tokens/test_store.py::test_each_kind_of_damage_is_refused_in_one_line_with_the_file_and_the_fix",
    ),
    Fault(
        "store: what is held out depends on the text, not the URL",
        "data/tokens/heldout.py",
        "name = normalized(url) if url else text",
        "name = text",
        "tests/data/tokens/test_build.py::test_holding_out_depends_on_the_url_and_not_on_the_seed_or_the_source",
    ),
    Fault(
        "tokenizer: text can forge the end of a document",
        "data/tokens/tokenizer.py",
        "if self._fast is None or self._literal.search(text):",
        "if self._fast is None:",
        "tests/data/tokens/test_tokenizer.py::test_no_text_can_forge_the_end_of_a_document",
    ),
    # ---- the model and its loss
    Fault(
        "loss: its gradient is off by a hundredth at the label",
        "model/loss.py",
        "grad[at_label] -= 1\n",
        "grad[at_label] -= 0.99\n",
        "tests/model/test_loss.py::test_any_chunk_gives_the_loss_and_gradients_of_all_logits_at_once",
    ),
    Fault(
        "loss: the mean counts one token too many",
        "model/loss.py",
        "return total / tokens\n",
        "return total / (tokens + 1)\n",
        "tests/model/test_loss.py::test_any_chunk_gives_the_loss_and_gradients_of_all_logits_at_once",
    ),
    Fault(
        "model: attention is not causal",
        "model/llama.py",
        "is_causal=True",
        "is_causal=False",
        "tests/model/test_llama.py::test_a_token_never_sees_those_after_it",
    ),
    Fault(
        "model: the norm scales before it casts back",
        "model/llama.py",
        "F.rms_norm(x, x.shape[-1:], eps=self.eps) * self.weight",
        "F.rms_norm(x, x.shape[-1:], self.weight, self.eps)",
        "tests/model/test_llama.py::test_the_norm_is_computed_in_fp32_cast_back_and_only_then_scaled",
    ),
    Fault(
        "model: SwiGLU's hidden dim is rounded down",
        "model/config.py",
        "return multiple_of * -(-hidden // multiple_of)",
        "return multiple_of * (hidden // multiple_of)",
        "tests/model/test_flops.py::test_the_published_sizes_count_exactly",
    ),
    Fault(
        "initial weights: the seed is ignored",
        "model/initialize.py",
        '_draw(parameter, f"{seed}/{name}")',
        '_draw(parameter, f"0/{name}")',
        "tests/model/test_initialize.py::test_seed_and_name_decide_each_matrix",
    ),
    # ---- the step
    Fault(
        "gradient norm: each pipeline stage clips by its own",
        "model/parallelize/gradients.py",
        "norm = model.norm_over_stages(norm)",
        "pass",
        "tests/model/test_parallelize.py::test_ten_steps_on_every_layout_are_the_single_process_s[2]",
    ),
    Fault(
        "gradients: micro-batches are summed, not averaged",
        "model/parallelize/gradients.py",
        "loss = model(inputs, labels) / count",
        "loss = model(inputs, labels)",
        "tests/model/test_parallelize.py::test_ten_steps_on_every_layout_are_the_single_process_s[2]",
    ),
    Fault(
        "optimizer: the norms' scales decay",
        "train/optimizer.py",
        '"weight_decay": 0.0',
        '"weight_decay": config.weight_decay',
        "tests/train/test_optimizer.py::test_only_matrices_decay",
    ),
    Fault(
        "schedule: the cosine does not end at min_lr_ratio",
        "train/optimizer.py",
        "(1 - config.min_lr_ratio) * height",
        "cosine",
        "tests/train/test_optimizer.py::test_the_schedule_equals_transformers",
    ),
    Fault(
        "guard: an infinite loss passes",
        "train/recovery.py",
        "            if not math.isfinite(value):\n",
        "            if math.isnan(value):\n",
        "tests/train/test_recovery.py::test_a_non_finite_value_never_passes",
    ),
    # ---- resuming
    Fault(
        "resume: a rewind leaves out too few samples",
        "train/decisions.py",
        'return decision.get("since", decision["step"]) - back\n',
        'return decision.get("since", decision["step"]) - 1\n',
        "tests/train/test_recovery.py::test_a_rewind_omits_the_samples_from_back_steps_before_the_spike",
    ),
    Fault(
        "resume: a checkpoint that a rewind took back is used",
        "train/decisions.py",
        'decision["to_step"] < state["step"]',
        'decision["to_step"] > state["step"]',
        "tests/train/test_recovery.py::test_a_checkpoint_of_rewound_steps_is_abandoned",
    ),
    Fault(
        "resume: a torn line joins the next one",
        "train/run/json_lines.py",
        "file.truncate(end)",
        "pass",
        "tests/train/test_recovery.py::test_a_decision_after_a_torn_one_can_be_read",
    ),
    Fault(
        "checkpoint: contents are not compared with their checksums",
        "train/checkpoint/folder.py",
        'if read and checksum(path) != entry["xxh3"]:',
        "if False:",
        "tests/train/checkpoint/test_damage.py::test_every_flipped_byte_and_every_cut_is_named",
    ),
    Fault(
        "checkpoint: one more is removed than should be",
        "train/checkpoint/folder.py",
        "for folder in folders_of[:-keep]:",
        "for folder in folders_of[: 1 - keep]:",
        "tests/train/checkpoint/test_saving.py::test_the_newest_few_and_the_last_verified_are_kept",
    ),
    # ---- formats
    Fault(
        "export: q and k keep Meta's row order",
        "model/formats/huggingface.py",
        "return pairs.transpose(1, 2).flatten(0, 2)",
        "return pairs.flatten(0, 2)",
        "tests/model/test_formats.py::test_transformers_loads_the_export_and_gives_our_logits",
    ),
    # ---- data
    Fault(
        "dedup: shingles are four words long",
        "data/dedup/shingles.py",
        "width = min(SHINGLE, len(words))",
        "width = min(SHINGLE - 1, len(words))",
        "tests/data/dedup/test_containment.py::test_dropped_books_are_those_that_brute_force_drops",
    ),
    Fault(
        "recipe: C4's validation files are trained on",
        "data/sources/c4.py",
        'if "validation" not in str(file.relative_to(path))',
        "if str(file.relative_to(path))",
        "tests/data/sources/test_c4.py::test_its_validation_files_are_not_read_from_a_folder",
    ),
    Fault(
        "recipe: one accepted license of several is enough",
        "data/sources/github/licenses.py",
        "return all(part in accepted or",
        "return any(part in accepted or",
        "tests/data/sources/github::test_an_expression_is_accepted_only_if_it_can_be_met",
    ),
    Fault(
        "recipe: CCNet's normal form keeps digits",
        "data/ccnet/paragraphs.py",
        '"0" if chr(code).isdecimal() else code',
        "code",
        "tests/data/ccnet/test_ccnet.py::test_the_normal_form_and_the_hash_by_hand",
    ),
    # ---- guards
    Fault(
        "guard: a manifest may name a file elsewhere",
        "data/folders.py",
        'not set("/\\\\\\0") & set(name)',
        "True",
        "tests/test_security.py::test_a_name_that_leads_elsewhere_is_not_plain",
    ),
    Fault(
        "guard: bearer tokens are written down",
        "configs/redact.py",
        'text = _IN_HEADER.sub(rf"\\g<1>{MASK}", text)',
        "pass",
        "tests/test_security.py::test_a_secret_is_masked",
    ),
    # ---- phases, branches and what is left out
    Fault(
        "phases: a source with other sequences begins its epoch again",
        "data/phases/reading.py",
        "place = -(-place * self.seq_len // seq_len)",
        "place = 0",
        "tests/data/phases::test_a_source_with_longer_sequences_continues_after_the_same_share_of_its_epoch",
    ),
    Fault(
        "phases: what a source has gained waits for the next epoch",
        "data/phases/reading.py",
        "return self._old.size + self._new.size",
        "return self._old.size",
        "tests/data/phases::test_a_chain_of_segments_reads_each_sequence_of_each_epoch_once",
    ),
    Fault(
        "phases: a phase ends one step late",
        "train/phases/timeline.py",
        "if step <= phase.end)",
        "if step <= phase.end + 1)",
        "tests/train/test_phases.py::test_a_piece_of_the_schedule_leads_from_the_rate_before_the_phase_to_its_own",
    ),
    Fault(
        "branch: its mixture begins a step after the branch",
        "train/order.py",
        "n = config.timeline.steps.sample(max(at, phase.start))",
        "n = config.timeline.steps.sample(max(at + 1, phase.start))",
        "tests/train/branch::test_a_branch_draws_its_own_mixture_from_its_first_step_on",
    ),
    Fault(
        "branch: without= keeps a sequence whose last label shows the document",
        "data/phases/kept.py",
        "max(0, start - 1) // seq_len",
        "start // seq_len",
        "tests/data/phases::test_holes_are_the_sequences_that_show_a_token",
    ),
    # ---- buckets
    Fault(
        "cache: what it holds is not compared with its checksums",
        "data/cache/store.py",
        "return None if known.wrong(block, found) else found",
        "return found",
        "tests/data/test_cache_size.py::test_a_small_cache_is_bounded_and_evicts",
    ),
    Fault(
        "cache: the sequence whose last label a block begins with is forgotten",
        "data/cache/future.py",
        "first = max(0, -(-low // length) - 1)",
        "first = max(0, -(-low // length))",
        "tests/data/test_buckets.py::test_the_next_use_is_that_of_the_order",
    ),
    Fault(
        "remote checkpoints: state.json does not come last",
        "train/checkpoint/uploader.py",
        """            files.send_all(self._sender, place(step), state["files"])
            self._sender.put_bytes((files.copy / STATE).read_bytes(), f"{place(step)}/{STATE}")""",
        """            self._sender.put_bytes((files.copy / STATE).read_bytes(), f"{place(step)}/{STATE}")
            files.send_all(self._sender, place(step), state["files"])""",
        "tests/train/checkpoint::test_an_upload_killed_at_any_object_leaves_the_checkpoint_before",
    ),
    Fault(
        "remote checkpoints: a damaged copy is restored",
        "train/checkpoint/transfer.py",
        "return not damage(aside)",
        "return True",
        "tests/train/checkpoint::test_a_damaged_copy_is_skipped_for_the_one_before",
    ),
    # ---- what the machine may do to the numbers
    Fault(
        "sentinel: a changed tensor is not noticed",
        "train/integrity/sentinel.py",
        "return now.sums != self._record.sums",
        "return torch.zeros_like(now.sums, dtype=torch.bool)",
        "tests/train/integrity::test_a_flip_between_two_updates_is_found_and_named",
    ),
    Fault(
        "sentinel: the bytes after a tensor's last complete word do not count",
        "train/checkpoint/checksums.py",
        "if words < flat.numel():",
        "if words > flat.numel():",
        "tests/train/integrity::test_every_bit_counts",
    ),
    Fault(
        "recomputation: the second gradients are added to the first",
        "train/integrity/computation.py",
        "        self._model.zero_grad()\n",
        "",
        "tests/train/integrity::test_a_nan_that_does_not_return_is_discarded",
    ),
    Fault(
        "recomputation: a problem that returns counts as gone",
        "train/integrity/computation.py",
        "has_passed = not problem(second.loss, second.norm)",
        "has_passed = True",
        "tests/train/integrity::test_a_nan_that_returns_is_the_steps_and_its_tensor_is_named",
    ),
    # ---- what is said about a run
    Fault(
        "evaluation during training: the copy forgets the phase's rope_theta",
        "train/evaluation/in_loop.py",
        "model = Llama(cast(Llama, live).config).to(dtype)",
        "model = Llama(type(cast(Llama, live).config)(dim=32, n_layers=1, n_heads=2, vocab_size=64, "
        "max_seq_len=32)).to(dtype)",
        "tests/train/evaluation::test_the_copy_turns_positions_as_the_live_model_does",
    ),
    Fault(
        "loggers: a rewound run continues as the same run of the service",
        "train/loggers/kept.py",
        "return self.rewinds == at.rewinds",
        "return True",
        "tests/train/loggers::test_mlflow_has_every_step_once_and_a_rewind_as_a_run_below",
    ),
    Fault(
        "ladder: outliers count in full",
        "train/ladder/fit.py",
        "slope = np.clip(off, -1, 1) / DELTA",
        "slope = off / DELTA",
        "tests/train/ladder::test_a_gradient_agrees_with_differences",
    ),
    # ---- Kubernetes
    Fault(
        "manifest: an argument's dollar signs are expanded",
        "launch/manifest.py",
        'return argument.replace("$", "$$")',
        "return argument",
        "tests/launch/test_kubernetes.py::test_every_argument_reaches_the_pod_as_typed",
    ),
    Fault(
        "manifest: a pod is killed before it can have saved",
        "launch/manifest.py",
        '"terminationGracePeriodSeconds": cluster.grace + 60',
        '"terminationGracePeriodSeconds": 30',
        "tests/launch/test_kubernetes.py::test_the_manifest_has_what_was_asked_for",
    ),
    # ---- a GPU's manners
    Fault(
        "device: the step's loss is added up on the CPU",
        "model/parallelize/gradients.py",
        "total = torch.zeros((), device=next(model.parameters()).device)",
        "total = torch.zeros(())",
        "tests/train/test_simulated_device.py::test_a_run_computes_there_what_it_computes_on_a_cpu",
    ),
    Fault(
        "device: the checksums of a save are read one by one",
        "train/checkpoint/checksums.py",
        "return dict(zip(sums, torch.stack(list(sums.values())).tolist(), strict=True)) if sums else {}",
        "return {name: int(total) for name, total in sums.items()}",
        "tests/train/test_simulated_device.py::test_the_host_waits_once_a_step_and_once_a_save",
    ),
)
