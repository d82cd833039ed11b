"""The names that other frameworks have for our keys, and their keys that have no counterpart here.

From nanoGPT, nanochat, litgpt, torchtitan, Megatron-LM, Hugging Face's Trainer, DeepSpeed, Lightning, LLM
Foundry, Axolotl and lm-eval.
"""

# Other frameworks' names for our keys, by our key. A name of several keys suggests them in this order.
# A name is suggested only where the command has its key.
_NAMES = {
    "micro_batch": (
        "batch_size per_device_train_batch_size micro_batch_size device_train_microbatch_size "
        "device_batch_size local_batch_size per_device_eval_batch_size train_micro_batch_size_per_gpu"
    ),
    "global_batch": (
        "batch_size global_batch_size train_batch_size total_batch_size gradient_accumulation_steps "
        "accumulate_grad_batches global_train_batch_size grad_accum grad_accum_steps tokens_per_batch"
    ),
    "batch": "batch_size eval_batch_size",
    "at": "step from_step branch_step",
    "step": "at",
    "steps": (
        "num_iterations epochs num_epochs max_epochs num_train_epochs max_steps max_iters num_steps "
        "total_steps train_iters iterations lr_decay_iters lr_decay_steps train_iterations max_train_steps "
        "max_duration"
    ),
    "model.n_layers": "depth n_layer num_layers num_hidden_layers",
    "optim.lr": "learning_rate max_lr init_lr peak_lr",
    "optim.min_lr_ratio": "min_lr lr_min",
    "optim.warmup_steps": (
        "warmup warmup_iters lr_warmup_iters lr_warmup_steps num_warmup_steps warmup_ratio warmup_tokens"
    ),
    "optim.clip": (
        "grad_clip clip_grad clip_grad_norm max_grad_norm max_norm gradient_clip_val gradient_clipping "
        "gradient_clip"
    ),
    "optim.betas": "beta1 beta2 adam_beta1 adam_beta2",
    "seq_len": (
        "block_size context_length sequence_length seq_length max_seq_length sequence_len ctx_len n_ctx "
        "model_max_length"
    ),
    "max_seq_len": "context_length max_seq_length model_max_length",
    "model.dim": "hidden_size n_embd d_model hidden_dim embed_dim",
    "model.n_heads": "n_head num_attention_heads num_heads",
    "model.n_kv_heads": "num_key_value_heads num_query_groups num_kv_heads",
    "model.head_size": "head_dim",
    "model.tie_word_embeddings": (
        "tie_embeddings tie_weights tied_embeddings weight_tying enable_weight_tying"
    ),
    "model.multiple_of": "intermediate_size ffn_hidden_size ffn_dim",
    "model.ffn_dim_multiplier": "intermediate_size ffn_hidden_size ffn_dim mlp_ratio",
    "vocab_size": "vocab n_vocab pieces",
    "validate.sequences": "eval_iters",
    "checkpoint.every": (
        "save_steps save_interval save_strategy save_every save_freq always_save_checkpoint "
        "checkpoint.interval checkpoint.enable checkpoint.enable_checkpoint interval freq save_last"
    ),
    "validate.every": (
        "eval_interval eval_steps evaluation_strategy eval_strategy eval_freq val_check_interval "
        "eval.interval interval freq"
    ),
    "checkpoint.keep": (
        "save_total_limit keep_latest_k keep_last keep_last_n save_num_checkpoints_to_keep save_top_k"
    ),
    "data": "dataset dataset_name train_data data_path datasets",
    "corpora": "data_dir dataset_path",
    "input": "dataset_path files train_data data_path train_file text train_files text_file",
    "parallel.tp": "tensor_parallel_size tensor_model_parallel_size tensor_parallel_degree tensor_parallel",
    "parallel.pp": (
        "pipeline_parallel_size pipeline_model_parallel_size pipeline_parallel_degree pipeline_parallel"
    ),
    "parallel.cp": "context_parallel_size context_parallel_degree context_parallel",
    "parallel.activation_checkpointing": (
        "gradient_checkpointing activation_checkpoint.mode activation_checkpoint recompute_activations "
        "recompute recompute_granularity"
    ),
    "parallel.compile": "torch_compile compile.enable",
    "logger.project": "wandb_project",
    "logger.wandb": "use_wandb",
    "workers": "num_workers",
    "max_tokens": "max_new_tokens max_length max_tokens_to_sample max_gen_len max_gen_toks",
    "tasks": "num_fewshot task benchmark",
    "gpus": "n_gpus num_gpus",
    "processes": "nproc nproc_per_node num_processes",
    "world_size": "gpus n_gpus num_gpus nproc num_processes processes nodes num_nodes nnodes",
    "gpus_per_node": "nproc_per_node",
    "nodes": "num_nodes nnodes",
    "precision": "dtype bf16 fp16 mixed_precision torch_dtype amp param_dtype use_amp",
    "dtype": "bf16 fp16 torch_dtype",
    "temperature": "temp",
    "tokenizer": "tokenizer_path tokenizer_model",
    "optim": "optimizer optimizer_type optim.name optimizer.name",
    "optim.eps": "adam_epsilon adam_eps epsilon",
    "optim.schedule": "lr_scheduler lr_scheduler_type scheduler lr_decay_style decay_lr lr_schedule",
    "model": "flavor model.name model_name",
    "init": (
        "pretrained checkpoint_path ckpt ckpt_path model_path weights model_name load init_from load_from "
        "initial_checkpoint_dir checkpoint_dir model_name_or_path pretrained_model_name_or_path load_path "
        "base_model pretrained_model from_pretrained"
    ),
    "run": (
        "model_tag out_dir output_dir run_name name resume resume_from_checkpoint checkpoint.folder "
        "checkpoint.dir checkpoint.path wandb_run_name experiment_name logging_dir save_dir save init_from "
        "save_folder default_root_dir exp_name job_name output"
    ),
    "output": "out_dir output_dir output_path out save_dir save save_folder",
    "source": "name",
    "weights": (
        "pretrained checkpoint_path ckpt ckpt_path model_path model_name load load_from checkpoint_dir "
        "model_name_or_path pretrained_model_name_or_path hf_path model checkpoint load_path base_model "
        "pretrained_model from_pretrained"
    ),
    "model.max_seq_len": "max_position_embeddings",
    "model.norm_eps": "rms_norm_eps",
    "checkpoint.asynchronous": "async_mode async_save",
    "config": "config_file",
    "prompt": "text start input_text input",
    "prompts": "input input_file file files prompt_file prompts_file",
    "document": "text file files input query url",
    "logger": (
        "report_to logger_name wandb_log wandb wandb.enable enable_wandb enable_tensorboard tensorboard"
    ),
    "profile": "enable_profiling",
    "parallel.dp_shard": "fsdp dp data_parallel_shard_degree",
    "parallel.dp_replicate": "dp ddp data_parallel_replicate_degree",
    "parallel": "deepspeed strategy fsdp_config",
    "parallel.reshard": "zero_stage zero",
    "parallel.tensor": "sequence_parallel",
    "model.rope_theta": "rope_base rotary_base",
    "evaluate.every": "interval freq",
    "seed": "seed_everything random_seed",
    "cluster.rendezvous": "rdzv_endpoint rendezvous_endpoint",
    "cluster.partition": "queue",
    "cluster.time": "walltime time_limit timelimit",
    "cluster.setup": "modules module prologue setup_file",
    "cluster.environment": "env env_vars",
    "image": "container container_image docker_image",
    "device": "accelerator no_cuda use_cpu use_cuda cuda",
}
# Options of sbatch that are given as they are: cluster.sbatch.NAME=VALUE.
OF_SBATCH = (
    *("account", "qos", "mem", "mem_per_cpu", "mem_per_gpu", "constraint", "reservation", "nodelist", "gres"),
    *("mail_user", "mail_type", "comment", "dependency", "exclusive", "licenses", "requeue"),
)
ELSEWHERE: dict[str, tuple[str, ...]] = {}
for _key, _names in _NAMES.items():
    for _name in _names.split():
        ELSEWHERE[_name] = (*ELSEWHERE.get(_name, ()), _key)
# Names, a key that only the commands they concern have, and what to know.
ABSENT: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (OF_SBATCH, "cluster.partition", "an option of sbatch is given as cluster.sbatch.NAME=VALUE"),
    (("run", "weights"), "gpus_per_node", "a plan needs no run; give its model, such as model=7b"),
    (
        ("input", "inputs", "files", "file", "text", "train_files", "source", "recipe"),
        "max_bytes",
        "a tokenizer is trained on prepared text: relama prepare recipe=text source=NAME input=PATH "
        "stage=text, then relama tokenizer data=mix data.weights.NAME=1 data.sources=NAME (or all in one: "
        "relama train data=text input=PATH)",
    ),
    (
        ("input", "inputs", "files", "file", "text", "source", "sources", "tokens", "recipe"),
        "more",
        "prepared sources are appended: relama prepare recipe=text source=NAME input=PATH tokenizer=… "
        "corpora=NEW, then relama append corpora=OLD more=NEW output=BOTH",
    ),
    (
        ("input", "inputs", "files", "file", "text", "source", "val_data", "dataset"),
        "sequences",
        "held-out text is measured once it is prepared: relama prepare recipe=text source=NAME input=PATH "
        "tokenizer=PATH heldout=0.5, then data=mix data.weights.NAME=1 data.sources=NAME",
    ),
    (("run", "weights"), "folder", "every run is listed; for one: relama report run=NAME"),
    (
        ("dropout", "attention_dropout", "hidden_dropout", "resid_pdrop", "attn_pdrop", "embd_pdrop"),
        "optim.lr",
        "LLaMA is trained without dropout; leave it out",
    ),
    (("bias", "qkv_bias", "attention_bias", "add_bias_linear"), "optim.lr", "LLaMA's layers have no biases"),
    (
        ("log_interval", "log_every", "logging_steps", "log_freq", "log_every_n_steps", "logging_strategy"),
        "optim.lr",
        "every step is logged, in metrics.jsonl",
    ),
    (
        ("do_train", "do_eval", "do_predict", "eval_only"),
        "optim.lr",
        "`relama train` trains; `relama validate` and `relama evaluate` measure",
    ),
    (
        ("overwrite_output_dir", "overwrite"),
        "optim.lr",
        "no run is overwritten: the same run=NAME resumes, another one starts from the beginning",
    ),
    (
        ("dataloader_num_workers", "num_workers", "pin_memory", "dataloader_pin_memory"),
        "optim.lr",
        "tokens are memory-mapped; leave it out",
    ),
    (
        ("attn_implementation", "use_flash_attention_2", "use_flash_attn", "flash_attention", "flash_attn"),
        "optim.lr",
        "the device's fastest exact attention kernel is chosen; leave it out",
    ),
    (
        ("load_best_model_at_end", "metric_for_best_model", "save_best"),
        "optim.lr",
        "measure any kept checkpoint: relama validate weights=RUN@STEP",
    ),
    (
        (
            "val_data",
            "valid_data",
            "validation_file",
            "validation_split",
            "val_split",
            "val_set_size",
            "test_size",
        ),
        "optim.lr",
        "text is held out when it is prepared (relama prepare … heldout=0.01), and measured after training",
    ),
    (
        ("lora", "lora_r", "lora_alpha", "use_lora", "peft", "adapter"),
        "optim.lr",
        "all weights are trained, from the beginning or from init=; leave it out",
    ),
    (
        ("early_stopping", "early_stopping_patience", "patience"),
        "optim.lr",
        "a run ends at steps=, and checkpoint.keep= keeps earlier ones; leave it out",
    ),
    (
        ("cpu_offload", "offload", "offload_optimizer", "offload_param", "offload_params"),
        "optim.lr",
        "nothing is moved to the CPU; parallel.dp_shard= and parallel.activation_checkpointing= save memory",
    ),
    (
        ("shuffle", "shuffle_seed", "shuffle_buffer", "streaming", "packing", "sample_packing"),
        "optim.lr",
        "samples are always packed and drawn in an order that seed= decides; leave it out",
    ),
    (
        ("push_to_hub", "hub_model_id", "hub_token"),
        "optim.lr",
        "`relama export weights=RUN format=hf output=FOLDER` writes what can be uploaded",
    ),
    (
        (
            "tokenizer",
            "tokenizer_dir",
            "tokenizer_path",
            "tokenizer_name",
            "tokenizer_model",
            "tokenizer_type",
        ),
        "optim.lr",
        "a run has the tokenizer that made its tokens (relama prepare … tokenizer=PATH)",
    ),
    (
        ("tokens", "max_tokens", "train_tokens", "total_tokens", "max_train_tokens"),
        "optim.lr",
        "a run's tokens are steps= times global_batch=",
    ),
    (("fp8", "float8", "float8.enable", "enable_fp8"), "optim.lr", "precision= is fp32 or bf16"),
    (
        ("backend", "ddp_backend", "local_rank", "master_addr", "master_port"),
        "optim.lr",
        "`relama launch` sets it",
    ),
    (
        ("top_k", "repetition_penalty", "num_beams", "do_sample", "greedy"),
        "temperature",
        "texts are drawn by temperature= and top_p=; temperature=0 takes the likeliest token",
    ),
    (
        ("output", "out", "output_file", "save", "save_to"),
        "temperature",
        "texts are printed; a shell writes them to a file: relama generate … > FILE",
    ),
    (
        ("num_samples", "num_return_sequences", "n", "best_of"),
        "prompts",
        "one text per prompt; another seed= gives another text",
    ),
    (
        ("quantize", "load_in_8bit", "load_in_4bit", "quantization"),
        "dtype",
        "dtype= is fp32 or bf16; there is no quantization",
    ),
)
